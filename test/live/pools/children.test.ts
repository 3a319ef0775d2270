import { afterEach, describe, expect, it } from "vitest";
import { Celery } from "../../../src/index.ts";
import { PoolAtWork } from "../../exercise/pool.ts";
import { eventually } from "../../support/eventually.ts";

const within = { timeout: 20 };
let at: PoolAtWork | undefined;

afterEach(() => at?.[Symbol.asyncDispose]());

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("a pool's children", () => {
  it("end with a worker that is killed, in the middle of a task that blocks", async () => {
    at = new PoolAtWork("processes");
    const worker = await at.start(["-c", "1"]);
    const [pid] = (await (await at.app.sendTask("tasks.where")).get(within)) as [number];
    const blocking = await at.app.sendTask("tasks.block", [60]);
    await eventually(async () => (await blocking.state()) === "STARTED");
    expect(await blocking.info()).toMatchObject({ pid, hostname: "pool@here" });
    await worker.kill();
    await eventually(() => !runs(pid));
  });

  it("finish their tasks when the worker stops warm, and are gone with it", async () => {
    at = new PoolAtWork("processes");
    const worker = await at.start(["-c", "1"]);
    const [pid] = (await (await at.app.sendTask("tasks.where")).get(within)) as [number];
    const blocking = await at.app.sendTask("tasks.block", [1]);
    await eventually(async () => (await blocking.state()) === "STARTED");
    worker.signal("SIGTERM");
    expect(await worker.ended()).toBe(0);
    expect(await blocking.get({ timeout: 1 })).toBe("blocked");
    expect(runs(pid)).toBe(false);
  });

  it.each(["processes", "threads"])("of %s that cannot import the module end the worker's start", async (pool) => {
    at = new PoolAtWork(pool);
    at.project.write(
      "tasks.mjs",
      `import "celeriac"; if (globalThis[Symbol.for("celeriac.poolChild")]) throw new Error("not in a child");
import { Celery } from "celeriac"; export const app = new Celery("shop", { brokerConnectionRetryOnStartup: false });`,
    );
    await expect(at.start()).rejects.toThrow("not in a child");
  });

  it("are had by a program that says which module has the application", async () => {
    at = new PoolAtWork("processes");
    at.project.write(
      "main.mjs",
      `
import { app } from "./tasks.mjs";
const worker = app.worker({ pool: process.argv[2], concurrency: 1, module: new URL("./tasks.mjs", import.meta.url) });
await worker.start();
console.error(" ready.", worker.pool);
process.once("SIGTERM", () => app.close());
`,
    );
    for (const pool of ["processes", "threads"]) {
      const program = at.program("main.mjs", pool);
      await program.said(` ready. ${pool}`);
      expect(await (await at.app.sendTask("tasks.add", [1, 2])).get(within)).toBe(3);
      program.signal("SIGTERM");
      expect(await program.ended()).toBe(0);
    }
  });

  it("need a module: without one the worker says so, and Python's default falls back", () => {
    const app = new Celery("shop", { broker: "memory://" });
    expect(() => app.worker({ pool: "processes" })).toThrow(
      "pool processes needs the option module: the path or URL of a module which exports the application shop",
    );
    expect(app.worker({ pool: "prefork" }).pool).toBe("async");
    expect(app.worker({ pool: "solo", concurrency: 5 }).concurrency).toBe(1);
    expect(() => app.worker({ pool: "forks" })).toThrow('pool cannot be "forks": it is one of async, solo, threads');
  });

  it("do not start workers of their own", async () => {
    at = new PoolAtWork("processes");
    at.project.write(
      "tasks.mjs",
      `
import { Celery } from "celeriac";
export const app = new Celery("shop", { taskDefaultQueue: process.env.QUEUE });
await app.worker({ pool: "processes", concurrency: 1, module: import.meta.url }).start();
`,
    );
    const program = at.program("tasks.mjs");
    expect(await program.ended()).toBe(1);
    expect(program.stderr).toContain("start it from a module of its own");
  });
});
