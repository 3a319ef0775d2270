import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import type { Celery, Worker } from "../../../src/index.ts";
import { type TestApp, testApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

let test: TestApp;
let app: Celery;

afterEach(() => app?.close());

const waiting = async (): Promise<number> => (await app.broker()).size(app.settings.taskDefaultQueue);
const held = (worker: Worker): number => worker.state.reserved.size;

describe("without prefetching", () => {
  let open: () => void;
  let ran: unknown[];

  beforeEach(() => {
    test = testApp({ workerDisablePrefetch: true });
    app = test.app;
    ran = [];
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    for (const acksLate of [true, false]) {
      app.task({ name: `tasks.wait.${acksLate ? "late" : "early"}`, acksLate }, async (value: unknown) => {
        await opened;
        ran.push(value);
      });
    }
  });

  it.each(["late", "early"])("a worker takes no more than it can run, acknowledging %s", async (acks) => {
    const worker = await test.start({ concurrency: 2 });
    for (let n = 0; n < 8; n++) await app.sendTask(`tasks.wait.${acks}`, [n]);
    await eventually(() => held(worker) === 2);
    // A look that took too many would have done so by now.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(held(worker)).toBe(2);
    expect(await waiting()).toBe(6);
    open();
    await eventually(() => ran.length === 8);
    expect(ran).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it("tasks for later are taken all the same, and keep none from running", async () => {
    const worker = await test.start({ concurrency: 1 });
    for (let n = 0; n < 3; n++) await app.sendTask("tasks.wait.late", ["later"], { countdown: 60 });
    await eventually(() => worker.state.scheduled.size === 3);
    open();
    await app.sendTask("tasks.wait.late", ["now"]);
    await eventually(() => ran.length === 1);
  });
});

describe.each([
  ["Redis", inject("redisUrl"), { workerDisablePrefetch: true }],
  ["RabbitMQ", inject("amqpUrl"), {}],
])("on %s", (_, broker, more) => {
  it.skipIf(!broker)("of 20 long tasks, neither of two workers holds more than it can run", async () => {
    test = testApp({ broker, ...more, workerPrefetchMultiplier: 1, taskAcksLate: true });
    app = test.app;
    const most = new Map<string, number>();
    const workers: Worker[] = [];
    app.task({ name: "tasks.long", bind: true }, async (self) => {
      for (const worker of workers) {
        most.set(worker.hostname, Math.max(most.get(worker.hostname) ?? 0, held(worker)));
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
      return self.request.hostname;
    });
    workers.push(await test.start({ concurrency: 2 }), await test.start({ concurrency: 2 }));
    const results = await Promise.all(Array.from({ length: 20 }, () => app.sendTask("tasks.long")));
    const ranBy = await Promise.all(results.map((result) => result.get({ timeout: 20 })));
    for (const worker of workers) {
      expect(most.get(worker.hostname)).toBe(2);
      expect(ranBy.filter((by) => by === worker.hostname).length).toBeGreaterThanOrEqual(7);
    }
  });
});

it("a broker that gives instead of being asked has no such setting, and the worker says so", async () => {
  test = testApp({ broker: "memory://", backend: "memory://" });
  app = test.app;
  await test.start({ disablePrefetch: true });
  expect(test.logged("workerDisablePrefetch has an effect on Redis alone, and none on memory")).toHaveLength(1);
});
