import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { PoolAtWork } from "../../exercise/pool.ts";
import { startRedis } from "../../servers/redis.ts";
import { eventually } from "../../support/eventually.ts";

const within = { timeout: 20 };
let at: PoolAtWork;

afterEach(() => at[Symbol.asyncDispose]());

describe.each(["async", "processes"])("a worker with the pool %s", (pool) => {
  it("gives running tasks workerSoftShutdownTimeout before it stops cold", async () => {
    at = new PoolAtWork(pool);
    const worker = await at.start(["-c", "2"], { workerSoftShutdownTimeout: 60 });
    const short = await at.app.sendTask("tasks.sleep", [1.5]);
    await eventually(() => worker.stderr.includes(`${short.id}] received`));
    worker.signal("SIGQUIT");
    await worker.said("Initiating Soft Shutdown, terminating in 60 seconds");
    expect(await worker.ended()).toBe(1);
    expect(await short.get({ timeout: 1 })).toBe("slept");
  });

  it("stops cold in the middle of that at the next signal, and puts late tasks back", async () => {
    at = new PoolAtWork(pool);
    const worker = await at.start(["-c", "2"], { workerSoftShutdownTimeout: 60 });
    await at.app.sendTask("tasks.late", ["a"]);
    await eventually(() => at.runs().length === 1);
    worker.signal("SIGQUIT");
    await worker.said("Initiating Soft Shutdown");
    worker.signal("SIGQUIT");
    expect(await worker.ended()).toBe(1);
    expect(await at.redis.llen(at.queue)).toBe(1);
  });

  it("ends late tasks when the broker is lost, if told so, and runs them anew", async () => {
    await using redis = { server: await startRedis(), [Symbol.asyncDispose]: () => redis.server.stop() };
    at = new PoolAtWork(pool, redis.server.url);
    const worker = await at.start(["-c", "2"], { workerCancelLongRunningTasksOnConnectionLoss: true });
    const sent = await at.app.sendTask("tasks.late", ["a"]);
    await eventually(() => at.runs().length === 1);
    await redis.server.kill();
    await worker.said("Terminating it instead.");
    await eventually(async () => (await sent.state()) === "RETRY");
    await redis.server.start();
    await eventually(() => at.runs().length === 2, 20_000);
  });
});

describe("signals", () => {
  it("SIGUSR1 shows what runs", async () => {
    at = new PoolAtWork("async");
    const worker = await at.start(["-c", "2"]);
    const sent = await at.app.sendTask("tasks.endless", ["word"]);
    await eventually(() => worker.stderr.includes(`${sent.id}] received`));
    worker.signal("SIGUSR1");
    await worker.said(
      `pool@here: 1 task(s) running, 0 waiting for a slot, 0 for their time\\n  tasks.endless[${sent.id}]`,
    );
  });

  it("SIGHUP restarts it once its tasks are done, under the id that it had", async () => {
    at = new PoolAtWork("processes");
    const worker = await at.start(["-c", "1", "--pidfile", "%n.pid"]);
    const short = await at.app.sendTask("tasks.sleep", [1]);
    await eventually(() => worker.stderr.includes(`${short.id}] received`));
    worker.signal("SIGHUP");
    await worker.said("Restarting celeriac worker (-A ./tasks worker");
    await eventually(() => worker.stderr.split(" ready.").length === 3, 20_000);
    expect(await short.get(within)).toBe("slept");
    expect(await (await at.app.sendTask("tasks.add", [1, 2])).get(within)).toBe(3);
    worker.signal("SIGTERM");
    expect(await worker.ended()).toBe(0);
    expect(existsSync(join(at.project.folder, "pool.pid"))).toBe(false);
  });

  it("SIGTERM means SIGQUIT with REMAP_SIGTERM", async () => {
    at = new PoolAtWork("async");
    const worker = await at.begin([], {}, { REMAP_SIGTERM: "SIGQUIT" }).said(" ready.");
    worker.signal("SIGTERM");
    expect(await worker.ended()).toBe(1);
    expect(worker.stderr).toContain("Cold shutdown");
  });
});

describe("the worker's name", () => {
  it("is filled in in the names of files, with the child's number", async () => {
    at = new PoolAtWork("processes");
    const worker = at.begin(["-c", "1", "--pidfile", "%n-%h.pid", "-f", "%p%I.log"]);
    const file = (name: string): string => join(at.project.folder, name);
    await eventually(() => existsSync(file("pool@here.log")) && existsSync(file("pool@here-1.log")), 20_000);
    await eventually(() => readFileSync(file("pool@here.log"), "utf8").includes(" ready."));
    expect(readFileSync(file("pool-here.pid"), "utf8")).toMatch(/^\d+\n$/);
    worker.signal("SIGTERM");
    expect(await worker.ended()).toBe(0);
  });
});

it("options that it does not have are answered by what to do instead", async () => {
  at = new PoolAtWork("async");
  for (const [args, said] of [
    [["-D"], "Error: -D, --detach is not supported: have systemd, a container or nohup run the worker\n"],
    [["-B"], "Error: -B, --beat is not supported: run celery beat, which sends to this worker as well\n"],
    [["--uid", "nobody"], "Error: --uid is not supported: have systemd (User=) or the container choose the user\n"],
  ] as const) {
    const { code, output } = await at.project.celeriac(["-A", "./tasks", "worker", ...args]);
    expect([code, output]).toEqual([2, said]);
  }
});
