import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { z } from "zod";
import {
  type Celery,
  chain,
  Ignore,
  Reject,
  type Self,
  TaskError,
  TaskRevokedError,
  TimeLimitExceeded,
  TimeoutError,
} from "../../../src/index.ts";
import { type TestApp, testApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

let test: TestApp;
let app: Celery;

beforeEach(() => {
  test = testApp();
  app = test.app;
});

afterEach(() => app.close());

const within = { timeout: 10 };

describe("a task's arguments", () => {
  it("are bound as a Python call binds them", async () => {
    const add = app.task("tasks.add", (x: number, y = 10, ...rest: number[]) => x + y + rest.length);
    await test.start();
    expect(await (await add.delay(1, 2)).get(within)).toBe(3);
    expect(await (await app.sendTask("tasks.add", [1])).get(within)).toBe(11);
    expect(await (await app.sendTask("tasks.add", [], { kwargs: { y: 1, x: 2 } })).get(within)).toBe(3);
    expect(await (await app.sendTask("tasks.add", [1, 2, 3, 4])).get(within)).toBe(5);
  });

  it("that do not fit are refused before they are sent, where the task is known", async () => {
    const add = app.task("tasks.add", (x: number, y: number) => x + y);
    await expect(add.applyAsync([1])).rejects.toThrow("add() missing 1 required positional argument: 'y'");
    await expect(add.applyAsync([1, 2, 3])).rejects.toThrow("add() takes 2 positional arguments but 3 were given");
    await expect(add.applyAsync([1, 2], { kwargs: { z: 1 } })).rejects.toThrow(
      "add() got an unexpected keyword argument 'z'",
    );
    await expect(add.applyAsync([1, 2], { kwargs: { x: 1 } })).rejects.toBeInstanceOf(TypeError);
  });

  it("that do not fit fail the task, sent from where the task is not known", async () => {
    app.task("tasks.add", (x: number, y: number) => x + y);
    await test.start();
    const client = testApp({ taskDefaultQueue: app.settings.taskDefaultQueue }).app;
    const result = await client.sendTask("tasks.add", [1]);
    const error = await result.get(within).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(TaskError);
    expect(error).toMatchObject({
      type: "TypeError",
      module: "builtins",
      message: "add() missing 1 required positional argument: 'y'",
    });
    await client.close();
  });

  it("are checked by a contract, which fills in the defaults", async () => {
    const params = z.object({ url: z.string(), width: z.number().int().default(200) });
    const resize = app.task({ name: "images.resize", params, returns: z.string() }, async ({ url, width }, self) => {
      return `${url}@${width} ${self.name}`;
    });
    await test.start();
    expect(await (await resize.delay({ url: "a" })).get(within)).toBe("a@200 images.resize");
    expect(await (await resize.applyAsync(["b", 5])).get(within)).toBe("b@5 images.resize");
    expect(await (await app.sendTask("images.resize", ["c"], { kwargs: { width: 1 } })).get(within)).toBe(
      "c@1 images.resize",
    );
    await expect(resize.applyAsync({ url: 1 })).rejects.toThrow(/url/);
    const client = testApp({ taskDefaultQueue: app.settings.taskDefaultQueue }).app;
    const refused = await client.sendTask("images.resize", ["c"], { kwargs: { width: "wide" } });
    await expect(refused.get(within)).rejects.toMatchObject({
      type: "ValidationError",
      message: expect.stringContaining("width"),
    });
    await client.close();
  });

  it("come with self in front when the task is bound, and without it through app.currentTask", async () => {
    const bound = app.task({ name: "tasks.bound", bind: true }, async (self: Self, x: number) => [self.request.id, x]);
    const plain = app.task("tasks.plain", async (x: number) => [app.currentTask?.request.id, x]);
    await test.start();
    const first = await bound.delay(1);
    expect(await first.get(within)).toEqual([first.id, 1]);
    const second = await plain.delay(2);
    expect(await second.get(within)).toEqual([second.id, 2]);
    expect(app.currentTask).toBeUndefined();
  });

  it("can be given in place, without any worker", async () => {
    const add = app.task("tasks.add", (x: number, y: number) => x + y);
    expect(await add(2, 3)).toBe(5);
  });
});

describe("a task that fails", () => {
  it("rejects with the error as Python knows it", async () => {
    class OutOfStock extends Error {
      static pythonName = "shop.errors.OutOfStock";
      args = ["sku-1", 3];
    }
    class Plain extends Error {}
    const fail = app.task("tasks.fail", (kind: string) => {
      if (kind === "range") throw new RangeError("too much");
      if (kind === "own") throw new OutOfStock();
      if (kind === "plain") throw new Plain("mine");
      throw kind;
    });
    await test.start();
    const failure = async (kind: string) => (await fail.delay(kind)).get(within).catch((error: unknown) => error);
    expect(await failure("range")).toMatchObject({
      type: "ValueError",
      module: "builtins",
      args: ["too much"],
      message: "too much",
    });
    expect(await failure("own")).toMatchObject({
      type: "OutOfStock",
      module: "shop.errors",
      args: ["sku-1", 3],
      message: "('sku-1', 3)",
    });
    expect(await failure("plain")).toMatchObject({ type: "Plain", module: "shop", message: "mine" });
    const thrown = (await failure("text")) as TaskError;
    expect(thrown).toMatchObject({ type: "Exception", module: "builtins", message: "text" });
    expect(((await failure("range")) as TaskError).traceback).toMatch(/tasks\.test\.ts[\s\S]*ValueError: too much$/);
  });

  it("is resolved with its error instead, when propagate is off", async () => {
    const fail = app.task("tasks.fail", () => {
      throw new RangeError("x");
    });
    await test.start();
    const result = await fail.delay();
    expect(await result.get({ ...within, propagate: false })).toBeInstanceOf(TaskError);
    expect(await result.state()).toBe("FAILURE");
    expect(await result.failed()).toBe(true);
    expect(await result.info()).toMatchObject({ type: "ValueError" });
  });

  it("fails with EncodeError when its result has no form on the wire", async () => {
    const set = app.task("tasks.set", () => new Set([1]));
    await test.start();
    await expect((await set.delay()).get(within)).rejects.toMatchObject({
      type: "EncodeError",
      module: "kombu.exceptions",
    });
  });
});

describe("a task that steers the worker", () => {
  it("is retried as it asks, keeping its id, and succeeds in the end", async () => {
    const seen: object[] = [];
    const flaky = app.task({ name: "tasks.flaky", bind: true }, async (self, n: number) => {
      const { id, retries, parentId, rootId, origin, headers } = self.request;
      seen.push({ id, retries, parentId, rootId, origin, headers });
      if (retries < n) throw self.retry({ countdown: 0.05, exc: new RangeError("again") });
      return retries;
    });
    await test.start();
    const states: string[] = [];
    const result = await flaky.applyAsync([2], { headers: { tenant: "blue" } });
    expect(await result.get({ ...within, onState: (state) => states.push(state) })).toBe(2);
    expect(seen).toHaveLength(3);
    expect(seen[2]).toMatchObject({
      id: result.id,
      retries: 2,
      parentId: result.id,
      rootId: result.id,
      headers: { tenant: "blue" },
    });
    expect(new Set(states)).toEqual(new Set(["RETRY"]));
  });

  it("fails with its error, or MaxRetriesExceededError, when the retries are used up", async () => {
    const options = { bind: true, maxRetries: 1 } as const;
    const withError = app.task({ name: "tasks.a", ...options }, async (self) => {
      throw self.retry({ countdown: 0, exc: new RangeError("gave up") });
    });
    const without = app.task({ name: "tasks.b", ...options }, async (self) => {
      throw self.retry({ countdown: 0 });
    });
    await test.start();
    await expect((await withError.delay()).get(within)).rejects.toMatchObject({
      type: "ValueError",
      message: "gave up",
    });
    await expect((await without.delay()).get(within)).rejects.toMatchObject({
      type: "MaxRetriesExceededError",
      message: expect.stringContaining("Can't retry tasks.b["),
    });
  });

  it("is retried by itself for the errors that it lists", async () => {
    class NetworkError extends Error {}
    let tries = 0;
    const options = { autoretryFor: [NetworkError], retryBackoff: true, retryBackoffMax: 0.1, maxRetries: 5 };
    const fetch = app.task({ name: "tasks.fetch", ...options }, () => {
      tries++;
      if (tries < 4) throw new NetworkError("down");
      return tries;
    });
    await test.start();
    expect(await (await fetch.delay()).get(within)).toBe(4);
  });

  it("stores no state when it throws Ignore, and a failure when it throws Reject", async () => {
    const ignore = app.task("tasks.ignore", () => {
      throw new Ignore();
    });
    const reject = app.task({ name: "tasks.reject", acksLate: true }, () => {
      throw new Reject("no", false);
    });
    await test.start();
    const ignored = await ignore.delay();
    await expect((await reject.delay()).get(within)).rejects.toMatchObject({ type: "Reject", args: ["no", false] });
    await eventually(() => test.logged("ignored").length === 1);
    expect(await ignored.state()).toBe("PENDING");
  });

  it("is put back when it throws Reject with requeue", async () => {
    let tries = 0;
    const reject = app.task({ name: "tasks.reject", acksLate: true, bind: true }, (self: Self) => {
      tries++;
      if (!self.request.deliveryInfo.redelivered) throw new Reject("later", true);
      return tries;
    });
    await test.start();
    expect(await (await reject.delay()).get(within)).toBe(2);
  });

  it("stores a state of its own for others to see", async () => {
    const report = app.task({ name: "tasks.report", bind: true }, async (self) => {
      await self.updateState({ state: "PROGRESS", meta: { done: 50 } });
      await new Promise((resolve) => setTimeout(resolve, 100));
      return "done";
    });
    await test.start();
    const seen: unknown[] = [];
    const result = await report.delay();
    expect(await result.get({ ...within, onState: (state, info) => seen.push([state, info]) })).toBe("done");
    expect(seen).toEqual([["PROGRESS", { done: 50 }]]);
  });

  it("is replaced by another signature under its own id", async () => {
    const add = app.task("tasks.add", (x: number, y: number) => x + y);
    const other = app.task({ name: "tasks.other", bind: true }, async (self, x: number) => {
      throw self.replace(chain(add.s(x, 1), add.s(10)));
    });
    await test.start();
    expect(await (await other.delay(5)).get(within)).toBe(16);
  });
});

describe("time", () => {
  it("holds a task back until its countdown or eta", async () => {
    const now = app.task("tasks.now", () => Date.now());
    await test.start();
    const before = Date.now();
    const [later, soon] = [await now.applyAsync([], { countdown: 0.5 }), await now.delay()];
    expect(Number(await soon.get(within)) - before).toBeLessThan(400);
    expect(Number(await later.get(within)) - before).toBeGreaterThanOrEqual(500);
    const eta = new Date(Date.now() + 300);
    expect(Number(await (await now.applyAsync([], { eta })).get(within))).toBeGreaterThanOrEqual(eta.getTime());
  });

  it("revokes a task that comes up after it expired", async () => {
    const now = app.task("tasks.now", () => Date.now());
    const expired = await now.applyAsync([], { expires: new Date(Date.now() - 1000) });
    await test.start();
    const error = await expired.get(within).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(TaskRevokedError);
    expect(error).toMatchObject({ message: "expired" });
    expect(await expired.state()).toBe("REVOKED");
  });

  it("limits: the soft one aborts the signal and the handler decides, the hard one fails the task", async () => {
    const soft = app.task({ name: "tasks.soft", softTimeLimit: 0.1, bind: true }, async (self: Self) => {
      await new Promise<void>((resolve) => self.signal.addEventListener("abort", () => resolve()));
      return `saved after ${(self.signal.reason as Error).name}`;
    });
    const hard = app.task({ name: "tasks.hard" }, () => new Promise(() => {}));
    await test.start({ concurrency: 1 });
    expect(await (await soft.delay()).get(within)).toBe("saved after SoftTimeLimitExceeded");
    const error = await (await hard.applyAsync([], { timeLimit: 0.2 })).get(within).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(TimeLimitExceeded);
    // The slot is free again.
    expect(await (await soft.delay()).get(within)).toContain("saved");
  });

  it("out for get() rejects with TimeoutError and leaves the task alone", async () => {
    const slow = app.task("tasks.slow", () => new Promise((resolve) => setTimeout(() => resolve("slow"), 400)));
    await test.start();
    const result = await slow.delay();
    await expect(result.get({ timeout: 0.1 })).rejects.toBeInstanceOf(TimeoutError);
    expect(await result.get(within)).toBe("slow");
  });
});

describe("revoking", () => {
  it("drops a task before it begins, also in the eyes of who waits", async () => {
    const add = app.task("tasks.add", (x: number, y: number) => x + y);
    await test.start();
    const result = await add.applyAsync([1, 1], { countdown: 0.6 });
    await eventually(() => test.logged("received").length === 1);
    await result.revoke();
    await expect(result.get(within)).rejects.toMatchObject({ type: "TaskRevokedError", message: "revoked" });
    await eventually(() => test.logged("Discarding revoked task").length === 1);
  });

  it("with terminate stops a task that runs and frees its slot", async () => {
    const reasons: unknown[] = [];
    const endless = app.task({ name: "tasks.endless", bind: true }, (self: Self) => {
      self.signal.addEventListener("abort", () => reasons.push(self.signal.reason));
      return new Promise(() => {});
    });
    const add = app.task("tasks.add", (x: number, y: number) => x + y);
    const worker = await test.start({ concurrency: 1 });
    const result = await endless.delay();
    await eventually(() => worker.state.active.size === 1);
    await result.revoke({ terminate: true });
    await expect(result.get(within)).rejects.toMatchObject({ type: "TaskRevokedError", message: "terminated" });
    expect(reasons).toHaveLength(1);
    expect(await (await add.delay(1, 1)).get(within)).toBe(2);
  });
});

describe("what follows a task", () => {
  it("is called with its result: links, and the rest of a chain", async () => {
    const seen: unknown[] = [];
    const add = app.task("tasks.add", (x: number, y: number) => x + y);
    const note = app.task("tasks.note", (value: unknown) => void seen.push(value));
    await test.start();
    const result = await chain(add.s(1, 2), add.s(10), add.s(100).link(note.s())).applyAsync();
    expect(await result.get(within)).toBe(113);
    await eventually(() => seen.length === 1);
    expect(seen).toEqual([113]);
    expect(await result.parent?.get(within)).toBe(13);
    expect(await result.parent?.parent?.get(within)).toBe(3);
    const children = await result.parent?.children();
    expect(children?.map((child) => child.id)).toEqual([result.id]);
  });

  it("fails with it: the rest of the chain gets the error, the errback the failed id", async () => {
    const seen: unknown[] = [];
    const fail = app.task("tasks.fail", () => {
      throw new RangeError("bad");
    });
    const add = app.task("tasks.add", (x: number, y: number) => x + y);
    const oldStyle = app.task("tasks.errback", (id: string) => void seen.push(id));
    const newStyle = app.task("tasks.errback2", (request: { id: string }, error: Error, traceback: string) => {
      seen.push([request.id, error.message, traceback.includes("ValueError: bad")]);
    });
    await test.start();
    const first = fail.s();
    const result = await chain(first.onError(oldStyle.s()).onError(newStyle.s()), add.s(1), add.s(2)).applyAsync();
    await expect(result.get(within)).rejects.toMatchObject({ type: "ValueError", message: "bad" });
    await eventually(() => seen.length === 2);
    const failedId = result.parent?.parent?.id;
    expect(seen).toContainEqual(failedId);
    expect(seen).toContainEqual([failedId, "bad", true]);
  });

  it("knows its root and its parent", async () => {
    const leaf = app.task({ name: "tasks.leaf", bind: true }, (self: Self) => [
      self.request.rootId,
      self.request.parentId,
    ]);
    const root = app.task({ name: "tasks.root", bind: true }, async () => (await leaf.delay()).get(within));
    await test.start();
    const result = await root.delay();
    expect(await result.get(within)).toEqual([result.id, result.id]);
    expect((await result.children()).length).toBe(1);
  });
});

describe("results", () => {
  it("are not stored when they are ignored, and get() says so at once", async () => {
    const add = app.task({ name: "tasks.add", ignoreResult: true }, (x: number, y: number) => x + y);
    await test.start();
    const ignored = await add.delay(1, 2);
    expect(await ignored.get(within)).toBeUndefined();
    await eventually(() => test.logged("succeeded").length === 1);
    expect(await app.asyncResult(ignored.id).state()).toBe("PENDING");
    const kept = await add.applyAsync([1, 2], { ignoreResult: false });
    expect(await kept.get(within)).toBe(3);
  });

  it("are null for a task that returns nothing", async () => {
    const nothing = app.task("tasks.nothing", () => {});
    await test.start();
    const result = await nothing.delay();
    expect(await result.get(within)).toBeNull();
    const redis = new Redis(inject("redisUrl"));
    const stored = await redis.get(`celery-task-meta-${result.id}`);
    redis.disconnect();
    // Python looks the key up.
    expect(JSON.parse(stored ?? "{}")).toHaveProperty("result", null);
  });

  it("show STARTED while the task runs, with trackStarted", async () => {
    const slow = app.task(
      { name: "tasks.slow", trackStarted: true },
      () => new Promise((resolve) => setTimeout(resolve, 300)),
    );
    const worker = await test.start();
    const result = await slow.delay();
    await eventually(async () => (await result.state()) === "STARTED");
    expect(await result.info()).toEqual({ pid: process.pid, hostname: worker.hostname });
    await result.get(within);
  });

  it("of a task that was never sent are PENDING", async () => {
    const result = app.asyncResult(randomUUID());
    expect(await result.state()).toBe("PENDING");
    expect(await result.ready()).toBe(false);
    await expect(result.get({ timeout: 0.05 })).rejects.toBeInstanceOf(TimeoutError);
  });
});
