import { describe, expect, it } from "vitest";
import {
  Celery,
  chain,
  chord,
  EagerResult,
  type GivenSettings,
  group,
  Ignore,
  type Self,
  TaskError,
} from "../../../src/index.ts";

/** No server: a broker that nobody reaches. */
function eagerApp(settings: GivenSettings = {}): Celery {
  return new Celery("shop", { broker: "redis://127.0.0.1:1/0", backend: "cache+memory://", ...settings });
}

describe("apply", () => {
  const app = eagerApp();
  const add = app.task("tasks.add", (x: number, y: number) => x + y);
  const fail = app.task("tasks.fail", () => {
    throw new RangeError("bad");
  });

  it("runs the task here and gives its result", async () => {
    const result = await add.apply([2, 3]);
    expect(result).toBeInstanceOf(EagerResult);
    expect(await result.get()).toBe(5);
    expect(await result.state()).toBe("SUCCESS");
    expect(await (await add.apply([2], { kwargs: { y: 4 } })).get()).toBe(6);
  });

  it("gives a failure as its result, or throws it", async () => {
    const result = await fail.apply();
    expect(await result.state()).toBe("FAILURE");
    const error = await result.get().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TaskError);
    expect(error).toMatchObject({ type: "ValueError", message: "bad", cause: expect.any(RangeError) });
    expect(await result.traceback()).toMatch(/eager\.test\.ts[\s\S]*ValueError: bad$/);
    await expect(fail.apply([], { throw: true })).rejects.toThrow(RangeError);
  });

  it("shows the task that it runs so", async () => {
    const seen = app.task({ name: "tasks.seen", bind: true }, ({ request }: Self) => request);
    const { id, ...request } = await (await seen.apply([], { taskId: "mine", headers: { tenant: "a" } })).get();
    expect(id).toBe("mine");
    expect(request).toMatchObject({ isEager: true, calledDirectly: false, retries: 0, rootId: "mine", parentId: null });
    expect(request.headers).toEqual({ tenant: "a" });
  });

  it("tries again at once, until the retries are used up", async () => {
    const flaky = app.task({ name: "tasks.flaky", bind: true, maxRetries: 2 }, (self: Self, failures: number) => {
      if (self.request.retries < failures) throw self.retry({ countdown: 3600, exc: new RangeError("not yet") });
      return self.request.retries;
    });
    expect(await (await flaky.apply([2])).get()).toBe(2);
    await expect((await flaky.apply([3])).get()).rejects.toMatchObject({ type: "ValueError", message: "not yet" });
  });

  it("calls hooks and signals, in the order of a worker", async () => {
    const told: string[] = [];
    const hooked = app.task(
      {
        name: "tasks.hooked",
        beforeStart: (taskId) => void told.push(`before_start ${taskId}`),
        onSuccess: (retval) => void told.push(`on_success ${retval}`),
        afterReturn: (status) => void told.push(`after_return ${status}`),
      },
      async (x: number) => 2 * x,
    );
    app.signals.connect("task_prerun", () => told.push("task_prerun"), { sender: "tasks.hooked" });
    app.signals.connect("task_postrun", ({ state }) => told.push(`task_postrun ${state}`), { sender: "tasks.hooked" });
    app.signals.connect("task_postrun", () => told.push("of another task"), { sender: "tasks.other" });
    await hooked.apply([2], { taskId: "x" });
    expect(told).toEqual([
      ...["task_prerun", "before_start x", "on_success 4", "after_return SUCCESS", "task_postrun SUCCESS"],
    ]);
  });

  it("tells of ignored tasks, and puts another in a task's place", async () => {
    const ignored = app.task("tasks.ignored", () => {
      throw new Ignore();
    });
    expect(await (await ignored.apply()).state()).toBe("IGNORED");
    const replaced = app.task({ name: "tasks.replaced", bind: true }, (self: Self) => {
      throw self.replace(add.s(1, 1));
    });
    expect(await (await replaced.apply()).get()).toBe(2);
  });

  it("of signatures runs one task after the other", async () => {
    expect(await (await chain(add.s(1, 2), add.s(3), add.s(4)).apply()).get()).toBe(10);
    expect(await (await group(add.s(1, 1), add.s(2, 2)).apply()).get()).toEqual([2, 4]);
    const sum = app.task("tasks.sum", (numbers: number[]) => numbers.reduce((all, n) => all + n, 0));
    expect(await (await chord([add.s(1, 1), add.s(2, 2)], sum.s()).apply()).get()).toBe(6);
    await expect(chain(fail.s(), add.s(1)).apply()).rejects.toThrow("bad");
    await expect(app.remote("tasks.elsewhere").s().apply()).rejects.toMatchObject({ code: "ERR_NOT_REGISTERED" });
    expect(
      await (
        await add
          .starmap([
            [1, 1],
            [2, 3],
          ])
          .apply()
      ).get(),
    ).toEqual([2, 5]);
  });
});

describe("taskAlwaysEager", () => {
  it("runs the tasks of this side where they are sent, with arguments as a message would bring them", async () => {
    const app = eagerApp({ taskAlwaysEager: true });
    const echo = app.task("tasks.echo", (value: unknown) => value);
    const sent = { when: new Date(0), nothing: undefined };
    const got = (await (await echo.delay(sent)).get()) as { when: Date };
    expect(got).toEqual({ when: new Date(0) });
    expect(got).not.toBe(sent);
    await expect(echo.applyAsync([])).rejects.toThrow("echo() missing 1 required positional argument: 'value'");
    await expect(echo.delay(new Set())).rejects.toMatchObject({ code: "ERR_ENCODE_ERROR" });
    expect(await (await chain(echo.s(1), echo.s()).applyAsync()).get()).toBe(1);
  });

  it("runs callbacks and errbacks as well", async () => {
    const app = eagerApp({ task_always_eager: true });
    const told: unknown[] = [];
    const tell = app.task("tasks.tell", (value: unknown) => void told.push(value));
    const fail = app.task("tasks.fail", () => {
      throw new RangeError("bad");
    });
    const one = app.task("tasks.one", () => 1);
    await one.applyAsync([], { link: tell.s() });
    await fail.applyAsync([], { taskId: "failed", linkError: tell.s() });
    expect(told).toEqual([1, "failed"]);
  });

  it("with taskEagerPropagates throws what the task throws", async () => {
    const app = eagerApp({ taskAlwaysEager: true, taskEagerPropagates: true });
    const fail = app.task("tasks.fail", () => {
      throw new RangeError("bad");
    });
    await expect(fail.delay()).rejects.toThrow(RangeError);
  });

  it("stores results only with taskStoreEagerResult", async () => {
    for (const taskStoreEagerResult of [false, true]) {
      const app = eagerApp({ taskAlwaysEager: true, taskStoreEagerResult });
      const one = app.task("tasks.one", () => 1);
      const fail = app.task("tasks.fail", () => {
        throw new RangeError("bad");
      });
      const [good, bad] = [await one.delay(), await fail.delay()];
      expect(await app.asyncResult(good.id).state()).toBe(taskStoreEagerResult ? "SUCCESS" : "PENDING");
      expect(await app.asyncResult(bad.id).state()).toBe(taskStoreEagerResult ? "FAILURE" : "PENDING");
      await app.close();
    }
  });
});

describe("taskAnnotations", () => {
  const annotations = {
    "tasks.slow": { rate_limit: "10/s", time_limit: 5 },
    "*": { timeLimit: 7, ignore_result: true },
  };

  it("come before a task's own options, and those for all before those for one, as in Celery", async () => {
    const app = eagerApp({ taskAnnotations: annotations });
    const shown = (name: string, options: object): unknown => {
      const task = app.task({ name, bind: true, ...options }, ({ request }: Self) => request);
      return task.apply().then((result) => result.get());
    };
    expect(await shown("tasks.slow", { timeLimit: 1 })).toMatchObject({ timeLimit: 7, ignoreResult: true });
    expect(await shown("tasks.other", { timeLimit: 1 })).toMatchObject({ timeLimit: 7 });
  });

  it("of a list count where they first name the task", async () => {
    const app = eagerApp({
      taskAnnotations: [{ a: { time_limit: 1 } }, { a: { time_limit: 2 }, b: { time_limit: 3 } }],
    });
    const limit = async (name: string): Promise<unknown> =>
      (await (await app.task({ name, bind: true }, (self: Self) => self.request.timeLimit).apply()).get()) ?? null;
    expect([await limit("a"), await limit("b"), await limit("c")]).toEqual([1, 3, null]);
  });

  it("may hold what only Python's tasks have, and nothing that nobody has", () => {
    const app = eagerApp({ taskAnnotations: { a: { typing: false }, b: { rate_limt: 1 } } });
    expect(() => app.task("a", () => 1)).not.toThrow();
    expect(() => app.task("b", () => 1)).toThrow("taskAnnotations: tasks have no option rateLimt (task b)");
  });
});
