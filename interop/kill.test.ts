import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { type AsyncResult, Celery } from "../src/index.ts";
import { type RedisServer, startRedis } from "../test/servers/redis.ts";
import { eventually } from "../test/support/eventually.ts";
import { Project, type RunningCommand } from "../test/support/project.ts";
import { startCeleriac } from "./celeriac.ts";
import { PythonClient, PythonWorker } from "./python.ts";
import { type Sides, sidesOf, type Transport, transports } from "./transports.ts";

const python = inject("python");
const within = { timeout: 40 };

/** Seconds after which a message on Redis that nobody has shown to hold is given to another worker. */
const VISIBILITY_TIMEOUT = 3;

let project: Project;
let sides: Sides;
/** The queue that workers of both languages take from. */
let queue: string;
let app: Celery;
const workers: AsyncDisposable[] = [];

beforeEach(() => {
  project = new Project();
});

afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker[Symbol.asyncDispose]()));
  await app?.close();
  await project[Symbol.asyncDispose]();
});

function share(transport: Transport): void {
  sides = sidesOf(transport, python);
  Object.assign(sides.python.settings ?? {}, { task_track_started: true });
  queue = sides.queues.python;
  app = new Celery("interop", { ...sides.settings, taskDefaultQueue: queue });
}

async function startPython(...args: string[]): Promise<PythonWorker> {
  const worker = await PythonWorker.start(sides.python, ["-c", "1", "-n", "python@here", ...args]);
  workers.push(worker);
  return worker;
}

/** Starts a celeriac worker, a process of its own, on the same queue. */
function startOurs(name = "celeriac", concurrency = 1): Promise<RunningCommand> {
  return startCeleriac(project, sides.python, ["-c", String(concurrency), "-n", `${name}@here`]);
}

/** Waits until a worker is in the middle of a task. */
async function begun(result: AsyncResult, hostname: string): Promise<void> {
  await eventually(async () => (await result.state()) === "STARTED", 20_000);
  expect(await result.info()).toMatchObject({ hostname });
}

/** The lines that `tasks.append` left in a file. */
const traces = (file: string): string[] => readFileSync(file, "utf8").trim().split("\n");

describe.skipIf(!python)("an acks_late task whose worker is killed in the middle of it (needs Python 3)", () => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(() => redis?.stop());

  /** A Redis for this file alone: with so short a timeout, Python takes the messages of every other test's workers. */
  const overRedis = (): Transport => ({
    ...(transports()[0] as Transport),
    broker: redis.url,
    backend: redis.url,
    transportOptions: {
      visibility_timeout: VISIBILITY_TIMEOUT,
      // Python's own pace would be a look after 10 seconds, and the next after 100 more.
      unacked_restore_interval: 1,
      unacked_restore_throttle: 1,
    },
  });
  const overRabbit = transports().find(({ name }) => name === "RabbitMQ, results in Redis");
  const places = [
    { broker: "Redis", transport: overRedis, waits: VISIBILITY_TIMEOUT * 1000 },
    ...(overRabbit ? [{ broker: "RabbitMQ", transport: () => overRabbit, waits: 0 }] : []),
  ];

  describe.each(places)("over $broker", ({ transport, waits }) => {
    beforeEach(() => share(transport()));

    it("is finished by a celeriac worker when it was Python's", async () => {
      const killed = await startPython();
      const result = await app.sendTask("tasks.acks_late_sleep", [2, "taken over"]);
      await begun(result, "python@here");
      const [, ours] = await Promise.all([killed.kill(), startOurs()]);
      const since = Date.now();
      expect(await result.get(within)).toBe("taken over");
      expect(Date.now() - since).toBeLessThan(waits + 2000 + 5000);
      await ours.said(`Task tasks.acks_late_sleep[${result.id}] succeeded`);
      expect(ours.log.filter(({ msg }) => msg.endsWith("received"))).toHaveLength(1);
    });

    it("is finished by Python's worker when it was celeriac's", async () => {
      const killed = await startOurs();
      const result = await app.sendTask("tasks.acks_late_sleep", [2, "taken over"]);
      await begun(result, "celeriac@here");
      const [, theirs] = await Promise.all([killed.kill(), startPython()]);
      expect(await result.get(within)).toBe("taken over");
      await eventually(() => theirs.output.includes(`[${result.id}] succeeded`));
      expect(theirs.output.match(/\] received/g)).toHaveLength(1);
    });
  });
});

describe.skipIf(!python)("workers on one folder (needs Python 3)", () => {
  let folder: string;

  beforeEach(() => {
    const transport = transports().find(({ name }) => name === "a folder") as Transport;
    folder = String(transport.transportOptions?.data_folder_in);
    // Once a second is Python's own pace, at which others would have taken everything.
    share({ ...transport, transportOptions: { ...transport.transportOptions, polling_interval: 0.02 } });
  });

  const claimed = (): string[] =>
    readdirSync(join(folder, ".celeriac-claimed"), { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith(".msg"),
    );

  it("take over what a killed celeriac worker had claimed, begun or not", async () => {
    const killed = await startOurs("killed");
    const file = join(project.folder, "traces");
    const begins = await app.sendTask("tasks.acks_late_sleep", [1, "run again"]);
    await begun(begins, "killed@here");
    const waiting = await Promise.all(["a", "b", "c"].map((line) => app.sendTask("tasks.append", [file, line])));
    await eventually(() => claimed().length === 4);
    await killed.kill();
    expect(claimed()).toHaveLength(4);
    const ours = await startOurs();
    expect(await begins.get(within)).toBe("run again");
    await Promise.all(waiting.map((result) => result.get(within)));
    expect(traces(file)).toEqual(["a", "b", "c"]);
    expect(ours.stderr).toContain("Restored 4 message(s) of a worker that is gone");
    await eventually(() => claimed().length === 0);
  });

  it("run each of 200 tasks exactly once, whoever sent it and in whatever language they run", async () => {
    const client = new PythonClient(sides.python);
    workers.push(client);
    const file = join(project.folder, "traces");
    const numbers = Array.from({ length: 100 }, (_, number) => String(number));
    // Before any worker is there: kombu shows a file before it is written, and another kombu that takes it then loses it.
    const fromPython = await client.run<
      string[]
    >(`[app.send_task("tasks.append", (${JSON.stringify(file)}, f"python {n}"),
      queue=${JSON.stringify(queue)}).id for n in range(100)]`);
    const [theirs, one, other] = await Promise.all([
      startPython("-c", "2"),
      startOurs("one", 2),
      startOurs("other", 2),
    ]);
    const results = await Promise.all(numbers.map((n) => app.sendTask("tasks.append", [file, `typescript ${n}`])));
    const ids = [...results.map(({ id }) => id), ...fromPython];
    await Promise.all(ids.map((id) => app.asyncResult(id).get(within)));
    const expected = ["python", "typescript"].flatMap((from) => numbers.map((n) => `${from} ${n}`));
    expect(traces(file).sort()).toEqual(expected.sort());
    for (const { output } of [theirs, { output: one.stderr }, { output: other.stderr }]) {
      expect(output).toContain("Task tasks.append[");
    }
    expect(readdirSync(folder).filter((name) => name.endsWith(".msg"))).toEqual([]);
  });
});
