import { afterEach, beforeEach, expect, it } from "vitest";
import { type Celery, chain, chord, GroupResult, group } from "../../../src/index.ts";
import { type TestApp, testApp } from "../../support/app.ts";

let test: TestApp;
let app: Celery;

beforeEach(async () => {
  test = testApp({ resultExtended: true });
  app = test.app;
  app.task("tasks.later", async (seconds: number, value: unknown) => {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    return value;
  });
  app.task("tasks.sum", (numbers: number[]) => numbers.reduce((sum, n) => sum + n, 0));
  app.task("tasks.fail", () => {
    throw new RangeError("bad");
  });
  app.task({ name: "tasks.parent", bind: true }, async () => {
    await app.sendTask("tasks.later", [0, "child"]);
    return "parent";
  });
  await test.start();
});

afterEach(() => app.close());

const later = (seconds: number, value: unknown) => app.signature("tasks.later", [seconds, value]);

it("members come as they end", async () => {
  const sent = (await group(later(0.4, 1), later(0, 2), later(0.2, 3)).applyAsync()) as GroupResult;
  const values: unknown[] = [];
  for await (const [result, value] of sent.asCompleted({ timeout: 10 })) {
    values.push(value);
    expect(await result.get({ timeout: 10 })).toBe(value);
  }
  expect(values).toEqual([2, 3, 1]);
  expect(await sent.completedCount()).toBe(3);
});

it("a member that fails ends the iteration, or is one of its values", async () => {
  const sent = (await group(app.signature("tasks.fail"), later(0.2, 1)).applyAsync()) as GroupResult;
  const values: unknown[] = [];
  for await (const [, value] of sent.asCompleted({ timeout: 10, propagate: false })) values.push(value);
  expect(values).toEqual([expect.objectContaining({ type: "ValueError" }), 1]);
  await expect(sent.asCompleted({ timeout: 10 }).next()).rejects.toMatchObject({ message: "bad" });
});

it("a group that was saved is restored by its id, and is gone when deleted", async () => {
  const sent = (await group(later(0, 1), later(0, 2)).applyAsync()) as GroupResult;
  await sent.save();
  const restored = await app.restoreGroup(sent.id);
  expect(restored).toBeInstanceOf(GroupResult);
  expect(await restored?.get({ timeout: 10 })).toEqual([1, 2]);
  await sent.delete();
  expect(await app.restoreGroup(sent.id)).toBeNull();
});

it("what a task sent is collected after its own result", async () => {
  const sent = await app.sendTask("tasks.parent");
  const values: unknown[] = [];
  for await (const [, value] of sent.collect({ timeout: 10 })) values.push(value);
  expect(values).toEqual(["parent", "child"]);
});

it("a canvas is drawn before it is sent, and its results as they are", async () => {
  const canvas = chain(later(0, 1), chord([later(0, 2), later(0, 3)], app.signature("tasks.sum")));
  expect(canvas.toMermaid()).toContain('["tasks.later(0, 1)"]');
  const sent = await chord([later(0, 2), later(0, 3)], app.signature("tasks.sum")).applyAsync();
  expect(await sent.get({ timeout: 10 })).toBe(5);
  const drawn = await sent.toMermaid();
  expect(drawn.match(/tasks\.later SUCCESS/g)).toHaveLength(2);
  expect(drawn).toContain('["tasks.sum SUCCESS"]');
  expect(drawn).toMatch(/n\d & n\d --> n\d/);
});
