import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { TaskError } from "../src/index.ts";
import { type Fleet, fleet } from "./fleet.ts";
import type { PythonError } from "./python.ts";

describe.skipIf(!inject("python"))("the message of an error from Python (needs Python 3)", () => {
  let both: Fleet;

  beforeAll(async () => {
    both = await fleet({}, {}, () => undefined);
  });

  afterAll(() => both?.[Symbol.asyncDispose]());

  it("is what str() of the exception says in Python, whatever the class", async () => {
    const { app, client, sides } = both;
    const kinds = await client.run<string[]>("list(__import__('tasks').EXCEPTIONS)");
    for (const kind of kinds) {
      const result = await app.sendTask("tasks.throw", [kind], { queue: sides.queues.python });
      const error = (await result.get({ timeout: 20 }).catch((caught: unknown) => caught)) as TaskError;
      const asked = `app.AsyncResult(${JSON.stringify(result.id)}).get(timeout=20)`;
      const raised = (await client.run(asked).catch((caught: unknown) => caught)) as PythonError;
      expect([kind, error.message]).toEqual([kind, raised.text]);
    }
    expect(kinds.length).toBeGreaterThan(10);
  });
});
