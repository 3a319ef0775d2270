import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { Celery } from "../../../src/index.ts";
import { freePort } from "../../servers/free-port.ts";
import { type RedisServer, startRedis } from "../../servers/redis.ts";
import { eventually } from "../../support/eventually.ts";
import { Project, type RunningCommand } from "../../support/project.ts";

/** Served by the worker that the command starts, in TypeScript that has to be stripped. */
const TASKS = `
import { setTimeout as sleep } from "node:timers/promises";
import { Celery, type Self } from "celeriac";

export const app: Celery = new Celery("shop", { taskDefaultQueue: process.env.QUEUE!, controlExchange: process.env.QUEUE! });

app.task("tasks.add", (x: number, y: number): number => x + y);
app.task({ name: "tasks.where", bind: true }, (self: Self) => self.request.hostname);
app.task("tasks.sleep", async (seconds: number) => {
  await sleep(seconds * 1000);
  return "slept";
});
app.task({ name: "tasks.endless", bind: true, acksLate: true, trackStarted: true }, (self: Self) => {
  self.signal.addEventListener("abort", () => console.error(JSON.stringify({ msg: "aborted" })));
  return new Promise<never>(() => {});
});
app.task({ name: "tasks.talk", bind: true }, async (self: Self, text: string) => {
  self.log.info({ of: "its own" }, text);
  await sleep(1);
  app.log.info(text + " by the application");
});
app.task("tasks.stray", () => {
  void Promise.reject(new Error("forgotten"));
  return "returned";
});
app.task("tasks.late", () => {
  setTimeout(() => { throw new Error("thrown in a timer"); }, 1);
  return "returned";
});
app.task("tasks.strange", () => {
  void Promise.reject(Object.create(null));
  return "returned";
});
`;

const within = { timeout: 10 };
let project: Project;
let queue: string;
let app: Celery;
/** A broker of the test's own, where it has asked for one. */
let redis: RedisServer | undefined;

beforeEach(() => {
  queue = `cli-${randomUUID().slice(0, 8)}`;
  project = new Project();
  project.write("tasks.ts", TASKS);
  const url = inject("redisUrl");
  app = new Celery("shop", { broker: url, backend: url, taskDefaultQueue: queue, controlExchange: queue });
});

afterEach(async () => {
  await app.close();
  await project[Symbol.asyncDispose]();
  await redis?.stop();
  redis = undefined;
});

function environment(url = inject("redisUrl")): NodeJS.ProcessEnv {
  return { CELERY_BROKER_URL: url, CELERY_RESULT_BACKEND: url, QUEUE: queue };
}

function begin(args: string[] = [], url?: string): RunningCommand {
  return project.start(["-A", "./tasks", "worker", "-l", "INFO", ...args], environment(url));
}

/** Starts a worker and waits until it takes tasks. */
const start = (...args: string[]): Promise<RunningCommand> => begin(args).said(" ready.");

const at = (name: string): string => join(project.folder, name);

describe("celeriac worker", () => {
  it("runs the tasks of a TypeScript module, named without its extension", async () => {
    await start("-c", "2", "-n", "shop@%h");
    expect(await (await app.sendTask("tasks.add", [2, 3])).get(within)).toBe(5);
    expect(await (await app.sendTask("tasks.where")).get(within)).toBe(`shop@${hostname()}`);
  });

  it.each(["async", "threads"])("imports the modules that a pattern matches, in the pool %s", async (pool) => {
    const served = (name: string): string =>
      `import { app } from "${name.includes("/") ? "../" : ""}../tasks.ts"; app.task("${name}", (x: number) => x + 1);`;
    project.write("more/one.ts", served("one"));
    project.write("more/deep/two.ts", served("deep/two"));
    project.write("more/deep/three.d.ts", "this is no module");
    project.write("more/node_modules/four.ts", "nor is this");
    await start("-I", "more/**/*.ts", "-P", pool, "-c", "1");
    expect(await (await app.sendTask("one", [1])).get(within)).toBe(2);
    expect(await (await app.sendTask("deep/two", [2])).get(within)).toBe(3);
  });

  it.each(["async", "processes"])("logs what a task says with its name and id, in the pool %s", async (pool) => {
    const worker = await start("-P", pool, "-c", "1");
    const result = await app.sendTask("tasks.talk", ["hello"]);
    await result.get(within);
    await eventually(() => worker.stderr.includes("by the application"));
    const said = worker.log.filter(({ msg }) => msg.includes("hello"));
    expect(said.map(({ msg }) => msg)).toEqual([
      `tasks.talk[${result.id}]: hello`,
      `tasks.talk[${result.id}]: hello by the application`,
    ]);
    for (const line of said) expect(line).toMatchObject({ id: result.id, task: "tasks.talk" });
    expect(said[0]).toMatchObject({ of: "its own" });
  });

  it("takes from the queues that it is told", async () => {
    await start("-Q", `${queue}-a,${queue}-b`);
    const sent = await app.sendTask("tasks.add", [1, 1], { queue: `${queue}-b` });
    expect(await sent.get(within)).toBe(2);
  });

  it("logs JSON when nobody reads it on a terminal, every line, to the end", async () => {
    const worker = await start();
    const result = await app.sendTask("tasks.add", [2, 3]);
    await result.get(within);
    worker.signal("SIGTERM");
    await worker.ended();
    expect(worker.log.map(({ msg }) => msg)).toEqual([
      "mingle: searching for neighbors",
      "mingle: all alone",
      expect.stringMatching(/^celeriac@.* ready\.$/),
      `Task tasks.add[${result.id}] received`,
      expect.stringMatching(`^Task tasks.add\\[${result.id}\\] succeeded in [\\d.]+s: 5$`),
      "worker: Warm shutdown (MainProcess)",
      "worker: Warm shutdown",
    ]);
    for (const line of worker.log) expect(line).toMatchObject({ level: expect.any(Number), time: expect.any(Number) });
    expect(worker.log[3]).toMatchObject({ id: result.id, task: "tasks.add" });
  });

  it("logs lines for people when told so", async () => {
    const worker = await start("--logformat", "pretty");
    worker.signal("SIGINT");
    await worker.ended();
    expect(worker.stderr).toMatch(/^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}: INFO\] celeriac@.* ready\.$/m);
    expect(worker.stderr).toMatch(/^worker: Hitting Ctrl\+C again will terminate all running tasks!$/m);
    expect(worker.stderr).toMatch(/^worker: Warm shutdown \(MainProcess\)$/m);
  });

  it("appends its log to a file, whose folder it makes", async () => {
    const worker = begin(["-f", "log/worker.log"]);
    const file = at("log/worker.log");
    await eventually(() => existsSync(file) && readFileSync(file, "utf8").includes(" ready."), 20_000);
    worker.signal("SIGTERM");
    expect(await worker.ended()).toBe(0);
    expect(worker.stderr).toBe("");
  });

  it("logs a rejection that a task left unhandled, and goes on", async () => {
    const worker = await start();
    expect(await (await app.sendTask("tasks.stray")).get(within)).toBe("returned");
    await worker.said("Unhandled rejection: forgotten");
    expect(worker.log.find(({ msg }) => msg.startsWith("Unhandled"))).toMatchObject({
      level: 50,
      err: { message: "forgotten", stack: expect.stringContaining("tasks.ts") },
    });
    expect(await (await app.sendTask("tasks.add", [1, 1])).get(within)).toBe(2);
  });

  it("logs what a task's timer throws after its end, and goes on", async () => {
    const worker = await start();
    expect(await (await app.sendTask("tasks.late")).get(within)).toBe("returned");
    await worker.said("Uncaught exception: thrown in a timer");
    expect(await (await app.sendTask("tasks.strange")).get(within)).toBe("returned");
    await worker.said("Unhandled rejection: what was thrown cannot be read");
    expect(await (await app.sendTask("tasks.add", [1, 1])).get(within)).toBe(2);
  });
});

describe("signals", () => {
  it("SIGTERM stops it warm: what runs is finished, the exit code is 0", async () => {
    const worker = await start();
    const result = await app.sendTask("tasks.sleep", [1]);
    await worker.said("received");
    worker.signal("SIGTERM");
    await worker.said("waiting for 1 task");
    await app.sendTask("tasks.add", [1, 1]);
    expect(await worker.ended()).toBe(0);
    expect(await result.get({ timeout: 1 })).toBe("slept");
    expect(await (await app.broker()).size(queue)).toBe(1);
  });

  it.each([
    ["a second SIGTERM", ["SIGTERM", "SIGTERM"]],
    ["SIGINT after SIGTERM", ["SIGTERM", "SIGINT"]],
    ["SIGQUIT", ["SIGQUIT"]],
  ] as const)("%s stops it cold: what runs is aborted and put back, the exit code is 1", async (_, signals) => {
    const worker = await start();
    const result = await app.sendTask("tasks.endless");
    await eventually(async () => (await result.state()) === "STARTED");
    for (const signal of signals) {
      worker.signal(signal);
      await worker.said("shutdown (MainProcess)");
    }
    const stopped = Date.now();
    expect(await worker.ended()).toBe(1);
    expect(Date.now() - stopped).toBeLessThan(5000);
    expect(worker.log.map(({ msg }) => msg)).toContain("aborted");
    expect(await (await app.broker()).size(queue)).toBe(1);
  });

  it("SIGTERM while the broker is away stops it warm as well", async () => {
    const worker = begin([], `redis://127.0.0.1:${await freePort()}/0`);
    await worker.said("Trying again in 2.00 seconds");
    worker.signal("SIGTERM");
    expect(await worker.ended()).toBe(0);
    expect(worker.stderr).not.toContain("Error:");
  });
});

describe("--health", () => {
  it("answers 200 while it consumes and 503 while it does not: before, without its broker, and while it stops", async () => {
    redis = await startRedis();
    await redis.kill();
    const port = await freePort();
    const worker = begin(["--health", `127.0.0.1:${port}`], redis.url);
    const ask = async (path = "/"): Promise<number> =>
      (await fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined))?.status ?? 0;
    await eventually(async () => (await ask()) === 503, 20_000);
    await redis.start();
    await worker.said(" ready.");
    const answer = await fetch(`http://127.0.0.1:${port}/?probe=1`);
    expect([answer.status, await answer.json()]).toEqual([200, { status: "ok", hostname: `celeriac@${hostname()}` }]);
    expect(await ask("/other")).toBe(404);

    await redis.kill();
    await eventually(async () => (await ask()) === 503);
    await redis.start();
    await eventually(async () => (await ask()) === 200);

    const there = new Celery("shop", { broker: redis.url, taskDefaultQueue: queue });
    await there.sendTask("tasks.sleep", [1]);
    await worker.said("received");
    worker.signal("SIGTERM");
    await worker.said("waiting for 1 task");
    expect(await ask()).toBe(503);
    expect(await worker.ended()).toBe(0);
    await there.close();
  });
});

describe("--pidfile", () => {
  it("holds the process id while it runs, and keeps a second worker from starting", async () => {
    const worker = await start("--pidfile", "worker.pid");
    const pid = worker.log[0]?.pid;
    expect(readFileSync(at("worker.pid"), "utf8")).toBe(`${pid}\n`);
    const second = await project.celeriac(["-A", "./tasks", "worker", "--pidfile", "worker.pid"], environment());
    expect(second.output).toBe(
      `Error: --pidfile worker.pid is there already; is another worker running? (pid: ${pid})\n`,
    );
    expect(second.code).toBe(1);
    expect(readFileSync(at("worker.pid"), "utf8")).toBe(`${pid}\n`);
    worker.signal("SIGTERM");
    await worker.ended();
    expect(existsSync(at("worker.pid"))).toBe(false);
  });

  it("of a worker that was killed is replaced", async () => {
    await (await start("--pidfile", "worker.pid")).kill();
    expect(existsSync(at("worker.pid"))).toBe(true);
    const worker = await start("--pidfile", "worker.pid");
    expect(readFileSync(at("worker.pid"), "utf8")).toBe(`${worker.log[0]?.pid}\n`);
  });
});

describe("a password", () => {
  it("appears in no log, whatever happens to the connection", async () => {
    const secret = "hunter2";
    redis = await startRedis(["--requirepass", secret]);
    const withPassword = (password: string): string => String(redis?.url.replace("//", `//:${password}@`));
    const worker = begin(["-l", "DEBUG"], withPassword(secret));
    await worker.said(" ready.");
    await redis.kill();
    await worker.said("Connection to broker lost");
    await redis.start();
    await worker.said("again.");
    worker.signal("SIGTERM");
    expect(await worker.ended()).toBe(0);
    expect(worker.stderr).toContain("redis://:**@127.0.0.1");
    expect(worker.stderr).not.toContain(secret);

    const refused = begin(["-l", "DEBUG"], withPassword("letmein"));
    await refused.said("WRONGPASS");
    expect(refused.stderr).toContain("redis://:**@127.0.0.1");
    expect(refused.stderr).not.toContain("letmein");
  });
});
