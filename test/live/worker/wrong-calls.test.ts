import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { type Celery, chain, ImproperlyConfigured, type SendOptions, type Task } from "../../../src/index.ts";
import { type TestApp, testApp } from "../../support/app.ts";

let test: TestApp;
let app: Celery;
let add: Task;

beforeEach(() => {
  test = testApp();
  app = test.app;
  add = app.remote("tasks.add");
});

afterEach(() => app.close());

/** What callers that the compiler does not hold back may write. */
// biome-ignore lint/suspicious/noExplicitAny: that is what is tested
const anything = (value: unknown): any => value;

async function expectNothingSent(): Promise<void> {
  const broker = await app.broker();
  await broker.connect();
  expect(await broker.size(app.settings.taskDefaultQueue)).toBe(0);
}

describe("a wrong call rejects with a TypeError that says what is wrong, and sends nothing", () => {
  it.each<[SendOptions, string]>([
    [{ link: anything(5) }, "link must be a signature, such as task.s(), not 5"],
    [{ linkError: anything("x") }, "linkError must be a signature"],
    [{ link: anything(() => 1) }, "link must be a signature, such as task.s(), not <function>"],
    [{ eta: anything("soon") }, "eta must be a Date, not 'soon'"],
    [{ eta: new Date(Number.NaN) }, "eta must be a Date"],
    [{ expires: anything("never") }, "expires must be a number of seconds or a Date, not 'never'"],
    [{ countdown: anything("x") }, "countdown must be a number, not 'x'"],
    [{ countdown: Number.NaN }, "countdown must be a number, not nan"],
    [{ priority: anything("high") }, "priority must be a number, not 'high'"],
    [{ timeLimit: anything("x") }, "timeLimit must be a number, not 'x'"],
    [{ queue: anything(5) }, "a queue is given by its name, not as 5"],
    [{ kwargs: anything([1]) }, "task kwargs must be an object, not [1]"],
    [anything("options"), "send options must be an object, not 'options'"],
  ])("for the options %o", async (options, message) => {
    for (const call of [
      () => add.applyAsync([1, 2], options),
      () => app.sendTask("tasks.add", [1, 2], options),
      () => add.s(1, 2).applyAsync([], options),
    ]) {
      // One that throws at once would not get as far as to be caught.
      const error = await call().catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(TypeError);
      expect((error as Error).message).toContain(message);
    }
    await expectNothingSent();
  });

  it("for arguments that are no list, and a task without a name", async () => {
    await expect(app.sendTask("tasks.add", anything({ x: 1 }))).rejects.toThrow(
      "task args must be an array, not {'x': 1}; keyword arguments go into the option kwargs",
    );
    await expect(app.sendTask(anything(undefined))).rejects.toThrow("a task is sent by its name");
    await expect(chain(add.s(1), add.s(2)).applyAsync(anything("ab"))).rejects.toThrow("task args must be an array");
    await expectNothingSent();
  });

  it("for a value that the task's contract refuses", async () => {
    const resize = app.task({ name: "tasks.resize", params: z.object({ width: z.number() }) }, ({ width }) => width);
    const error = await resize.delay({ width: anything("x") }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ message: expect.stringMatching(/^width: .*expected number/) });
    await expectNothingSent();
  });

  it("but null for arguments or options is none", async () => {
    expect((await app.sendTask("tasks.add", anything(null), anything(null))).id).toMatch(/-/);
    expect((await add.applyAsync(null, anything(null))).id).toMatch(/-/);
  });
});

describe("what cannot be meant is refused where it is written", () => {
  it("when a chain is made of what are no signatures", () => {
    expect(() => chain(anything(5))).toThrow("chain, group and chord take signatures, such as task.s(), not 5");
  });

  it("when a time zone is none", () => {
    expect(() => testApp({ timezone: "Mars/Phobos" })).toThrow(ImproperlyConfigured);
    expect(() => testApp({ timezone: "Mars/Phobos" })).toThrow("IANA");
  });
});

it("a contract may look at values that it takes later on", async () => {
  const params = z.object({ value: z.unknown().refine(async (value) => value !== "bad") });
  const task = app.task({ name: "tasks.check", params }, ({ value }) => value);
  await test.start();
  expect(await (await task.delay({ value: 5 })).get({ timeout: 10 })).toBe(5);
  await expect(task.delay({ value: "bad" })).rejects.toBeInstanceOf(TypeError);
});

it("a retry that cannot be sent fails its task", async () => {
  const task = app.task({ name: "tasks.retry", bind: true }, (self) => {
    throw self.retry({ link: anything("x") });
  });
  await test.start();
  await expect((await task.delay()).get({ timeout: 10 })).rejects.toMatchObject({
    type: "TypeError",
    message: "link must be a signature, such as task.s(), not 'x'",
  });
});

it("a task without headers of its sender's sees an empty object", async () => {
  const task = app.task({ name: "tasks.headers", bind: true }, (self) => [self.request.headers.tenant ?? "none"]);
  await test.start();
  expect(await (await task.delay()).get({ timeout: 10 })).toEqual(["none"]);
  expect(await (await task.applyAsync([], { headers: { tenant: "a" } })).get({ timeout: 10 })).toEqual(["a"]);
});
