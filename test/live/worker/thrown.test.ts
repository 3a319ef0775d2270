import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Celery, TaskError } from "../../../src/index.ts";
import { type TestApp, testApp } from "../../support/app.ts";

let test: TestApp;
let app: Celery;

beforeEach(() => {
  test = testApp();
  app = test.app;
});

afterEach(() => app.close());

/** Runs a task that throws this, and gives what the caller gets to see. */
async function failureOf(thrown: () => unknown): Promise<TaskError> {
  app.task("tasks.throw", () => {
    throw thrown();
  });
  await test.start();
  const result = await app.sendTask("tasks.throw");
  return result.get({ timeout: 10 }).then(
    () => expect.unreachable(),
    (error: unknown) => error as TaskError,
  );
}

/** Objects that all refer to each other, as the parts of a network library's response do. */
function entangled(): Record<string, unknown>[] {
  const objects: Record<string, unknown>[] = Array.from({ length: 30 }, () => ({}));
  for (const object of objects) for (const [i, other] of objects.entries()) object[`o${i}`] = other;
  return objects;
}

describe("what is thrown is stored, and the caller learns of it", () => {
  it.each([null, undefined])("when it is %s", async (nothing) => {
    expect(await failureOf(() => nothing)).toMatchObject({ type: "Exception", module: "builtins", args: [null] });
  });

  it("when it is an object in a circle", async () => {
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const error = await failureOf(() => circle);
    expect(error).toMatchObject({ type: "Exception", args: ["{'self': {...}}"] });
    expect(error.traceback).toBe("Exception: {'self': {...}}");
  });

  it("when it is one of many objects that refer to each other, within a moment", async () => {
    const error = await failureOf(() => entangled()[0]);
    expect(error.type).toBe("Exception");
    expect(error.message.length).toBeLessThan(1_000_000);
  });

  it("when its arguments cannot be read", async () => {
    const error = await failureOf(() =>
      Object.defineProperty(new Error("x"), "args", {
        get() {
          throw new Error("from a getter");
        },
      }),
    );
    expect(error).toMatchObject({ type: "Exception", args: ["what was thrown cannot be read"] });
    expect(error.traceback).toContain("from a getter");
  });

  it("when it is a proxy that refuses everything", async () => {
    const refuse = (): never => {
      throw new Error("no");
    };
    const error = await failureOf(() => new Proxy(new Error("x"), { get: refuse, getPrototypeOf: refuse }));
    expect(error).toMatchObject({ type: "Exception", args: ["what was thrown cannot be read"] });
  });

  it("when it is a plain object with a getter that throws", async () => {
    const error = await failureOf(() => ({
      get x() {
        throw new Error("no");
      },
    }));
    expect(error).toMatchObject({ type: "Exception", args: ["<object>"] });
  });
});
