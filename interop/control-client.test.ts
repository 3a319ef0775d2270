import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { Celery, CeleryEvent, Inspect, Reply } from "../src/index.ts";
import { testApp } from "../test/support/app.ts";
import { eventually } from "../test/support/eventually.ts";
import { Project } from "../test/support/project.ts";
import { PythonClient, PythonWorker } from "./python.ts";
import { type Sides, sidesOf, type Transport, transports } from "./transports.ts";

const python = inject("python");
const NODE = "python@here";

describe.skipIf(!python)("app.control and app.events with a Python worker (needs Python 3)", () => {
  const [redis, ...others] = transports();
  const rabbit = others.find(({ name }) => name === "RabbitMQ, results in Redis");
  describe.each([redis, rabbit].filter((transport) => transport !== undefined))("over $name", client);
});

function client(transport: Transport): void {
  let sides: Sides;
  let app: Celery;
  let worker: PythonWorker;

  beforeAll(async () => {
    sides = sidesOf(transport, python);
    app = testApp({ ...sides.settings, taskDefaultQueue: sides.queues.python }).app;
    const pool = ["-c", "2", "-n", NODE];
    worker = await PythonWorker.start(
      { ...sides.python, settings: { ...sides.python.settings, worker_pool_restarts: true } },
      pool,
    );
  });

  afterAll(async () => {
    await Promise.all([app?.close(), worker?.[Symbol.asyncDispose]()]);
  });

  const inspect = (): Inspect => app.control.inspect({ destination: [NODE], timeout: 10 });
  const asked = { reply: true, destination: [NODE], timeout: 10 } as const;
  const of = (reply: Reply | null): unknown => reply?.[NODE];
  const ok = async (sent: Promise<Reply[]>): Promise<unknown> => of((await sent)[0] ?? null);

  it("asks all that can be asked", async () => {
    expect(await app.control.ping({ destination: [NODE], timeout: 10 })).toEqual([{ [NODE]: { ok: "pong" } }]);
    expect(of(await inspect().ping())).toEqual({ ok: "pong" });
    expect(of(await inspect().clock())).toEqual({ clock: expect.any(Number) });
    expect(of(await inspect().report())).toEqual({ ok: expect.stringContaining("software -> celery:") });
    expect(of(await inspect().stats())).toMatchObject({ pool: { "max-concurrency": 2 }, total: {} });
    expect(of(await inspect().registered())).toContain("tasks.add");
    expect(of(await inspect().registered("max_retries"))).toContain("tasks.add [max_retries=3]");
    expect(of(await inspect().activeQueues())).toMatchObject([{ name: sides.queues.python }]);
    expect(of(await inspect().conf())).toMatchObject({ task_default_queue: sides.queues.python });
    expect(of(await inspect().conf(true))).toMatchObject({ worker_prefetch_multiplier: 4 });
    expect(of(await inspect().hello("somebody@here", ["elsewhere"]))).toMatchObject({ revoked: ["elsewhere"] });
    expect(of(await inspect().revoked())).toEqual(["elsewhere"]);
    expect(of(await inspect().reserved())).toEqual([]);
    expect(of(await inspect().memsample())).toBeNull();
    expect(of(await inspect().memdump())).toContain("rss");
    expect(of(await inspect().objgraph())).toEqual({ error: "ImportError('Requires the objgraph library')" });
    expect(of(await inspect().request("no_such_command"))).toEqual({ error: "KeyError('no_such_command')" });
  });

  it("sees tasks that run and that wait, and ends one", async () => {
    const slow = await app.sendTask("tasks.sleep", [60]);
    const later = await app.sendTask("tasks.add", [1, 2], { countdown: 600 });
    await eventually(async () => (of(await inspect().active()) as unknown[]).length === 1, 20_000);
    expect(of(await inspect().active())).toMatchObject([{ id: slow.id, args: [60], hostname: NODE }]);
    expect(of(await inspect().scheduled())).toMatchObject([{ request: { id: later.id } }]);
    expect(of(await inspect().queryTask(slow.id, later.id))).toMatchObject({
      [slow.id]: ["active", { name: "tasks.sleep" }],
      [later.id]: ["scheduled", { name: "tasks.add" }],
    });
    expect(await ok(app.control.terminate(slow.id, { ...asked, signal: "SIGKILL" }))).toEqual({
      ok: `terminate: ${slow.id}`,
    });
    await expect(slow.get({ timeout: 20 })).rejects.toMatchObject({ type: "TaskRevokedError" });
    expect(await ok(app.control.revoke(later.id, asked))).toEqual({ ok: `tasks {'${later.id}'} flagged as revoked` });
    await expect(later.get({ timeout: 20 })).rejects.toMatchObject({ type: "TaskRevokedError" });
  });

  it("tells it all that can be told", async () => {
    const { control } = app;
    const more = `${sides.queues.python}-more`;
    expect(await ok(control.rateLimit("tasks.mul", "10/m", asked))).toEqual({ ok: "new rate limit set successfully" });
    expect(await ok(control.timeLimit("tasks.mul", 5, 10, asked))).toEqual({ ok: "time limits set successfully" });
    expect(await ok(control.addConsumer(more, null, "direct", null, asked))).toEqual({ ok: `add consumer ${more}` });
    expect(await ok(control.cancelConsumer(more, asked))).toEqual({ ok: `no longer consuming from ${more}` });
    expect(await ok(control.enableEvents(asked))).toEqual({ ok: "task events enabled" });
    expect(await ok(control.disableEvents(asked))).toEqual({ ok: "task events disabled" });
    expect(await ok(control.heartbeat(asked))).toBeNull();
    expect(await ok(control.poolGrow(1, asked))).toEqual({ ok: "pool will grow" });
    expect(await ok(control.poolShrink(1, asked))).toEqual({ ok: "pool will shrink" });
    expect(await ok(control.autoscale(3, 1, asked))).toEqual({ error: "ValueError('Autoscale not enabled')" });
    expect(await ok(control.revokeByStampedHeaders({ customer: ["a"] }, asked))).toEqual({
      ok: "headers {'customer': ['a']} flagged as revoked, but not terminated",
    });
    expect(await ok(control.poolRestart(null, false, null, asked))).toEqual({ ok: "reload started" });
  });

  it("chooses by pattern", async () => {
    const nodes = async (pattern: string, matcher: "glob" | "pcre"): Promise<string[]> =>
      Object.keys((await app.control.inspect({ pattern, matcher, timeout: 2, limit: 1 }).ping()) ?? {});
    expect(await nodes("pyth*", "glob")).toEqual([NODE]);
    expect(await nodes("p.+@", "pcre")).toEqual([NODE]);
    expect(await nodes("nobody*", "glob")).toEqual([]);
  });

  it("a worker that starts beside it shares its revoked tasks, and votes with it", async () => {
    const { taskDefaultQueue: _, ...shared } = sides.settings;
    const other = testApp({ ...shared, taskDefaultQueue: sides.queues.typescript });
    const ran: string[] = [];
    other.app.task("tasks.note", (text: string) => void ran.push(text));
    await app.control.revoke("known", asked);
    const started = await other.start({ heartbeatInterval: 0.5 });
    expect(started.state.revoked.ids()).toContain("known");
    await eventually(() => other.logged(`${NODE} joined the party`).length > 0);
    await app.control.heartbeat({ destination: [started.hostname] });
    const action = other.app.signature("tasks.note", ["elected"], { queue: sides.queues.typescript }).toJSON();
    // Asked of this one alone: two Python workers that both propose may end with an IndexError of Celery's own.
    await app.control.election("one", "task", action, { destination: [started.hostname] });
    await eventually(() => ran.includes("elected"), 20_000);
    expect(of(await inspect().ping())).toEqual({ ok: "pong" });
    await other.app.close();
  });

  it("app.events sees its events as Celery's own receiver and state do", async () => {
    const state = app.events.state();
    const seen: CeleryEvent[] = [];
    await using receiver = app.events.receiver({
      handlers: {
        "*": (event) => {
          seen.push(event);
          state.event(event);
        },
      },
    });
    await using theirs = new PythonClient(sides.python);
    await theirs.run(`
import threading
monitor = app.events.State()
ready = threading.Event()
def listen():
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": lambda event: monitor.event(dict(event))})
        receiver.on_consume_ready = lambda *args, **options: ready.set()
        receiver.capture(limit=None, timeout=None, wakeup=False)
threading.Thread(target=listen, daemon=True).start()
ready.wait(20)`);
    await receiver.start();
    await app.control.enableEvents(asked);
    const done = await app.sendTask("tasks.add", [1, 2]);
    const failed = await app.sendTask("tasks.fail", ["bad"]);
    const ids = [done.id, failed.id];
    await eventually(
      () => ids.every((id) => ["SUCCESS", "FAILURE"].includes(state.tasks.get(id)?.state ?? "")),
      20_000,
    );
    const names = [
      "name",
      "state",
      "args",
      "kwargs",
      "result",
      "exception",
      "retries",
      "root_id",
      "parent_id",
      "runtime",
    ];
    const told = `[{n: getattr(monitor.tasks[i], n) for n in ${JSON.stringify(names)}} for i in ${JSON.stringify(ids)} if i in monitor.tasks]`;
    const tasks = await eventually(async () => {
      const all = await theirs.run<Record<string, unknown>[]>(told);
      return all.length === 2 && all.every((task) => /SUCCESS|FAILURE/.test(String(task.state))) && all;
    }, 20_000);
    for (const [index, id] of ids.entries()) {
      const mine = state.tasks.get(id) as Record<string, unknown>;
      expect(Object.fromEntries(names.map((name) => [name, mine[name] ?? null]))).toEqual(tasks[index]);
    }
    expect(state.aliveWorkers()).toMatchObject([{ hostname: NODE, sw_ident: "py-celery" }]);
  });

  it("celeriac events, inspect, control and status work with it", async () => {
    await using project = new Project();
    project.write(
      "tasks.mjs",
      `import { Celery } from "celeriac";\nexport const app = new Celery("shop", ${JSON.stringify(sides.settings)});\n`,
    );
    const celeriac = async (...args: string[]): Promise<[number | null, string]> => {
      const { code, output } = await project.celeriac(["-A", "tasks.mjs", ...args, "-d", NODE, "-t", "10"]);
      return [code, output];
    };
    const [status, registered, limited] = await Promise.all([
      celeriac("status"),
      celeriac("inspect", "registered"),
      celeriac("control", "rate_limit", "tasks.mul", "5/m"),
    ]);
    expect(status).toEqual([0, `${NODE}: OK\n\n1 node online.\n`]);
    expect(registered).toEqual([0, expect.stringMatching(/^python@here: OK\n {4}\* tasks\.acks_late_sleep\n/)]);
    expect(limited).toEqual([0, `${NODE}: OK\n    new rate limit set successfully\n`]);
  });

  it("shuts it down", async () => {
    await app.control.shutdown({ destination: [NODE] });
    await eventually(() => !worker.running, 20_000);
  });
}
