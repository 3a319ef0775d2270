import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { Project, type RunningCommand } from "../test/support/project.ts";
import { startCeleriac } from "./celeriac.ts";
import { fleetOf } from "./fleet.ts";
import { PythonClient, PythonWorker } from "./python.ts";

const SETTINGS = { task_track_started: true, worker_direct: true };

/** What Celery's own client makes of a task that came to a bad end, and what is stored of it. */
const HELPERS = `
import json, time

def outcome(result):
    try:
        seen = ["value", result.get(timeout=40)]
    except Exception as exc:
        seen = [type(exc).__module__, type(exc).__name__, str(exc), repr(exc.args)]
    meta = json.loads(app.backend.get(app.backend.get_key_for_task(result.id)))
    return {"seen": seen, "status": meta["status"], "result": meta["result"], "children": meta["children"]}

def begun(result):
    while result.state != "STARTED":
        time.sleep(0.02)
    return result.info["pid"]
`;

const python = inject("python");

describe.skipIf(!python)("the pool processes beside Celery's prefork (needs Python 3)", () => {
  const sides = fleetOf(SETTINGS);
  const { queues } = sides;
  const ours = { ...sides.python, queue: queues.typescript };
  let project: Project;
  let client: PythonClient;
  let theirWorker: PythonWorker;
  let ourWorker: RunningCommand;

  beforeAll(async () => {
    project = new Project();
    const theirs = { ...sides.python, settings: { ...sides.python.settings, worker_lost_wait: 0.5 } };
    client = new PythonClient(sides.python);
    [theirWorker, ourWorker] = await Promise.all([
      PythonWorker.start(theirs, ["-c", "1", "-n", "python@here"]),
      startCeleriac(project, ours, ["-P", "processes", "-c", "1", "-n", "ours@here"]),
      client.run(`${HELPERS}\nresult = None`),
    ]);
  });

  afterAll(async () => {
    await Promise.all([client[Symbol.asyncDispose](), theirWorker?.[Symbol.asyncDispose]()]);
    await project[Symbol.asyncDispose]();
  });

  /** The same for either worker; `queue` is in scope. */
  const onBoth = async (code: string): Promise<[theirs: unknown, ours: unknown]> => {
    const on = (queue: string): Promise<unknown> => client.run(`queue = ${JSON.stringify(queue)}\n${code}`);
    return [await on(queues.python), await on(queues.typescript)];
  };

  it("stores a hard time limit, a lost process and a termination as Celery does, and goes on", async () => {
    const [theirs, own] = await onBoth(`
send = lambda name, *args, **options: app.send_task("tasks." + name, args, queue=queue, **options)
limit = outcome(send("sleep", 60, time_limit=1))
killed = outcome(send("die", 9))
exited = outcome(send("die", 0))
doomed = send("sleep", 60)
begun(doomed)
app.control.revoke(doomed.id, terminate=True, signal="SIGKILL")
revoked = outcome(doomed)
result = [limit, killed, exited, revoked, outcome(send("add", 1, 2))]
`);
    expect(own).toEqual(theirs);
    expect(own).toMatchObject(
      [
        { seen: ["billiard.exceptions", "TimeLimitExceeded", "TimeLimitExceeded(1,)", "(1,)"], status: "FAILURE" },
        {
          seen: ["billiard.exceptions", "WorkerLostError", "Worker exited prematurely: signal 9 (SIGKILL) Job: 1.", {}],
        },
        { seen: ["billiard.exceptions", "WorkerLostError", "Worker exited prematurely: exitcode 3 Job: 2.", {}] },
        { seen: ["celery.exceptions", "TaskRevokedError", "terminated", "('terminated',)"], status: "REVOKED" },
        { seen: ["value", 3], status: "SUCCESS" },
      ].map((one) => ({
        ...one,
        seen: one.seen.map((part) => (typeof part === "object" ? expect.any(String) : part)),
      })),
    );
  });

  it("takes from a queue of the worker's own, as worker_direct names it", async () => {
    const direct = (node: string): Promise<unknown> =>
      client.run(`from celery.utils.nodenames import worker_direct
result = app.send_task("tasks.whoami", queue=worker_direct("${node}")).get(timeout=20)`);
    expect([await direct("python@here"), await direct("ours@here")]).toEqual(["python@here", "ours@here"]);
  });

  it("says in which process a task runs, and stops warm", async () => {
    const pid = await client.run<number>(`
doomed = app.send_task("tasks.sleep", (2,), queue=${JSON.stringify(queues.typescript)})
result = begun(doomed)`);
    expect(pid).not.toBe(ourWorker.log[0]?.pid);
    ourWorker.signal("SIGTERM");
    expect(await ourWorker.ended()).toBe(0);
    expect(await client.run("result = doomed.get(timeout=5)")).toBe(2);
  });
});
