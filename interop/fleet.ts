import { inject } from "vitest";
import type { Celery, GivenSettings } from "../src/index.ts";
import { type TestApp, testApp } from "../test/support/app.ts";
import { PythonClient, PythonWorker } from "./python.ts";
import { type Sides, sidesOf, transports } from "./transports.ts";

/** Settings of a fleet that writes everything by one serializer. */
export function both(name: string): Record<string, unknown> {
  return { task_serializer: name, result_serializer: name, accept_content: [name, "json"] };
}

/** Two sides on Redis that share these settings. @param own more of the TypeScript side's */
export function fleetOf(settings: Record<string, unknown>, own: GivenSettings = {}): Sides {
  const [redis] = transports();
  if (!redis) throw new Error("no Redis");
  const sides = sidesOf(redis, inject("python"));
  return {
    ...sides,
    settings: { ...sides.settings, ...settings, ...own },
    python: { ...sides.python, settings: { ...sides.python.settings, ...settings } },
  };
}

/** Both languages at work, for one test. */
export interface Fleet extends AsyncDisposable {
  sides: Sides;
  test: TestApp;
  app: Celery;
  client: PythonClient;
}

/**
 * Starts them.
 * @param serve registers the tasks of the TypeScript side; left out, no worker is started
 */
export async function fleet(
  settings: Record<string, unknown>,
  own: GivenSettings = {},
  serve?: (app: Celery) => void,
): Promise<Fleet> {
  const sides = fleetOf(settings, own);
  const test = testApp(sides.settings);
  const client = new PythonClient(sides.python);
  serve?.(test.app);
  const [started] = await Promise.all([
    serve && PythonWorker.start(sides.python),
    serve && test.start(),
    client.run(`queue = ${JSON.stringify(sides.queues.typescript)}`),
  ]);
  return {
    sides,
    test,
    app: test.app,
    client,
    async [Symbol.asyncDispose]() {
      await Promise.all([test.app.close(), client[Symbol.asyncDispose](), started?.[Symbol.asyncDispose]()]);
    },
  };
}
