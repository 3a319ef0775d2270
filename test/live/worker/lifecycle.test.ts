import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, inject, it } from "vitest";
import type { Celery } from "../../../src/index.ts";
import { type TestApp, testApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

let test: TestApp;
let app: Celery;
let redis: Redis;

beforeEach(() => {
  test = testApp();
  app = test.app;
  redis = new Redis(inject("redisUrl"));
});

afterEach(async () => {
  await app.close();
  redis.disconnect();
});

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const queued = (): Promise<number> => redis.llen(app.settings.taskDefaultQueue);

it("a warm stop waits for what runs, and puts back what has not begun", async () => {
  const finished: number[] = [];
  app.task("tasks.slow", async (number: number) => {
    await sleep(400);
    finished.push(number);
    return number;
  });
  const worker = await test.start({ concurrency: 2 });
  const results = await Promise.all([0, 1, 2, 3, 4].map((number) => app.sendTask("tasks.slow", [number])));
  await eventually(() => worker.state.active.size === 2 && worker.state.reserved.size === 5);
  await worker.stop();
  expect(finished.sort()).toEqual([0, 1]);
  expect(await queued()).toBe(3);
  expect(await results[0]?.get({ timeout: 1 })).toBe(0);
  expect(await redis.hlen("unacked")).toBe(0);
});

it("a warm stop puts back tasks that wait for their time, at once", async () => {
  app.task("tasks.later", () => 1);
  const worker = await test.start();
  await app.sendTask("tasks.later", [], { countdown: 600 });
  await eventually(() => worker.state.scheduled.size === 1);
  const before = Date.now();
  await worker.stop();
  expect(Date.now() - before).toBeLessThan(1000);
  expect(await queued()).toBe(1);
});

it("tasks that finish during a warm stop can still send others and store their results", async () => {
  app.task("tasks.next", () => "next");
  app.task("tasks.slow", async () => {
    await sleep(300);
    return (await app.sendTask("tasks.next")).id;
  });
  const worker = await test.start();
  const result = await app.sendTask("tasks.slow");
  await eventually(() => worker.state.active.size === 1);
  await app.close();
  const reader = testApp().app;
  expect(await reader.asyncResult(result.id).get({ timeout: 1 })).toMatch(/^[0-9a-f-]{36}$/);
  await reader.close();
  expect(await queued()).toBe(1);
});

it("answers inspect and revoke while it drains", async () => {
  app.task("tasks.slow", () => sleep(1500));
  const worker = await test.start();
  await app.sendTask("tasks.slow");
  await eventually(() => worker.state.active.size === 1);
  const stopping = worker.stop();
  await sleep(50);
  expect(await app.control.inspect({ timeout: 0.5 }).ping()).toEqual({ [worker.hostname]: { ok: "pong" } });
  await stopping;
});

it("a cold stop does not wait, and puts tasks with late acknowledgement back", async () => {
  const aborted: unknown[] = [];
  app.task({ name: "tasks.endless", bind: true, acksLate: true }, (self) => {
    self.signal.addEventListener("abort", () => aborted.push(self.signal.reason));
    return new Promise(() => {});
  });
  const worker = await test.start();
  const result = await app.sendTask("tasks.endless");
  await eventually(() => worker.state.active.size === 1);
  await worker.terminate();
  expect(aborted).toHaveLength(1);
  expect(await queued()).toBe(1);
  expect(await result.state()).toBe("PENDING");
});

it("early acknowledgement takes a message away when its task begins, late when it is over", async () => {
  const held: number[] = [];
  const look = async (): Promise<void> => {
    await sleep(100);
    held.push(await redis.hlen("unacked"));
  };
  app.task("tasks.early", look);
  app.task({ name: "tasks.late", acksLate: true }, look);
  await test.start({ concurrency: 1 });
  await (await app.sendTask("tasks.early")).get({ timeout: 5 });
  await (await app.sendTask("tasks.late")).get({ timeout: 5 });
  expect(held).toEqual([0, 1]);
  await eventually(async () => (await redis.hlen("unacked")) === 0);
});

it("runs no more tasks at a time than its concurrency, and holds no more than the prefetch allows", async () => {
  let running = 0;
  let most = 0;
  app.task("tasks.count", async () => {
    most = Math.max(most, ++running);
    await sleep(30);
    running--;
  });
  const results = await Promise.all(Array.from({ length: 40 }, () => app.sendTask("tasks.count")));
  const worker = await test.start({ concurrency: 3, prefetchMultiplier: 2 });
  await eventually(() => worker.state.reserved.size > 0);
  await Promise.all(
    results.map(async (result) => {
      await result.get({ timeout: 10 });
      expect(worker.state.reserved.size).toBeLessThanOrEqual(9);
    }),
  );
  expect(most).toBe(3);
});

it("holds no more tasks for later than it may", async () => {
  const { app, start } = testApp({ workerEtaTaskLimit: 10 });
  app.task("tasks.later", () => undefined);
  await Promise.all(Array.from({ length: 30 }, () => app.sendTask("tasks.later", [], { countdown: 3600 })));
  const worker = await start({ concurrency: 2, prefetchMultiplier: 1 });
  await eventually(() => worker.state.scheduled.size === 10);
  await sleep(200);
  expect(worker.state.scheduled.size).toBe(10);
  expect(await redis.llen(app.settings.taskDefaultQueue)).toBe(20);
  await redis.del(app.settings.taskDefaultQueue);
  await app.close();
});

it("purges its queues first when told to", async () => {
  app.task("tasks.add", (x: number, y: number) => x + y);
  await app.sendTask("tasks.add", [1, 1]);
  await test.start({ purge: true });
  expect(test.logged("purge: Erased 1 message")).toHaveLength(1);
  expect(await queued()).toBe(0);
});

it("takes only from the queues that it is told", async () => {
  const name = app.settings.taskDefaultQueue;
  app.task("tasks.where", () => app.currentTask?.request.deliveryInfo.routingKey);
  await test.start({ queues: [`${name}-a`, `${name}-b`], excludeQueues: [`${name}-b`] });
  expect(await (await app.sendTask("tasks.where", [], { queue: `${name}-a` })).get({ timeout: 5 })).toBe(`${name}-a`);
  await app.sendTask("tasks.where", [], { queue: `${name}-b` });
  await sleep(200);
  expect(await redis.llen(`${name}-b`)).toBe(1);
  await redis.del(`${name}-b`);
});
