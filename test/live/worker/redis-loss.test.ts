import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { type Celery, OperationalError } from "../../../src/index.ts";
import { type RedisServer, startRedis } from "../../servers/redis.ts";
import { type TestApp, testApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

let server: RedisServer;
let test: TestApp;
let app: Celery;
const apps: Celery[] = [];

beforeAll(async () => {
  server = await startRedis();
});

afterAll(() => server.stop());

function make(settings: object = {}): TestApp {
  const made = testApp({ broker: server.url, backend: server.url, ...settings });
  apps.push(made.app);
  return made;
}

beforeEach(() => {
  test = make();
  app = test.app;
  app.task("tasks.add", (x: number, y: number) => x + y);
});

afterEach(async () => {
  await Promise.all(apps.splice(0).map((made) => made.close()));
});

const within = { timeout: 10 };

async function restart(downMs = 300): Promise<void> {
  await server.kill();
  await new Promise((resolve) => setTimeout(resolve, downMs));
  await server.start();
}

/** Cuts every connection but the one that says so. */
async function cutConnections(): Promise<void> {
  const redis = new Redis(server.url);
  await redis.call("CLIENT", "KILL", "SKIPME", "yes");
  redis.disconnect();
}

it("an idle worker serves again within five seconds of its broker's return", async () => {
  await test.start();
  await restart();
  const back = Date.now();
  expect(await (await app.sendTask("tasks.add", [1, 2])).get(within)).toBe(3);
  expect(Date.now() - back).toBeLessThan(5000);
  expect(test.logged("Connection to broker lost")).toHaveLength(1);
  await eventually(() => test.logged("again").length === 1);
});

it("a worker whose connections are cut ten times in a row goes on, its prefetch intact", async () => {
  await test.start({ concurrency: 2 });
  for (let round = 0; round < 10; round++) {
    await cutConnections();
    expect(await (await app.sendTask("tasks.add", [round, 1])).get(within)).toBe(round + 1);
  }
});

it("a task that runs while the broker is away stores its result when it is back", async () => {
  app.task("tasks.slow", () => new Promise((resolve) => setTimeout(() => resolve("done"), 500)));
  const worker = await test.start();
  const result = await app.sendTask("tasks.slow");
  await eventually(() => worker.state.active.size === 1);
  await restart(800);
  expect(await result.get(within)).toBe("done");
});

it("publishing while the broker is away for a moment succeeds when it is back", async () => {
  await app.sendTask("tasks.add", [0, 0]);
  await server.kill();
  const sending = app.sendTask("tasks.add", [1, 1], { retryPolicy: { max_retries: 50, interval_max: 0.2 } });
  setTimeout(() => void server.start(), 500);
  await sending;
  expect(await (await app.broker()).size(app.settings.taskDefaultQueue)).toBe(2);
});

it("publishing to a broker that stays away rejects within its timeout and names the broker", async () => {
  const lost = make({ broker: "redis://:secret@127.0.0.1:1/0", taskPublishTimeoutMs: 2000 });
  const before = Date.now();
  const error = await lost.app.sendTask("tasks.add", [1, 1]).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(OperationalError);
  expect((error as Error).message).toContain("redis://:**@127.0.0.1:1/0");
  expect((error as Error).message).toContain("ECONNREFUSED");
  expect(Date.now() - before).toBeLessThan(2500);
});

it("five hundred waiting gets all settle after a restart, and leave no subscription behind", async () => {
  app.task("tasks.later", (number: number) => new Promise((resolve) => setTimeout(() => resolve(number), 1500)));
  await test.start({ concurrency: 600 });
  const results = await Promise.all(Array.from({ length: 500 }, (_, number) => app.sendTask("tasks.later", [number])));
  const gets = results.map((result) => result.get({ timeout: 25 }));
  await new Promise((resolve) => setTimeout(resolve, 700));
  await restart(200);
  expect(await Promise.all(gets)).toEqual(results.map((_, number) => number));
  const redis = new Redis(server.url);
  await eventually(
    async () => ((await redis.call("PUBSUB", "CHANNELS", "celery-task-meta-*")) as string[]).length === 0,
  );
  redis.disconnect();
});

it("get() without a backend that answers rejects instead of waiting for ever", async () => {
  const lost = make({ backend: "redis://127.0.0.1:1/0" });
  await expect(lost.app.asyncResult(randomUUID()).get({ timeout: 10 })).rejects.toThrow(/ECONNREFUSED/);
});

it("a long task is not given to another worker, however short the visibility timeout", async () => {
  const options = { brokerTransportOptions: { visibility_timeout: 1.5 }, taskAcksLate: true };
  const first = make(options);
  const second = make({ ...options, taskDefaultQueue: first.app.settings.taskDefaultQueue });
  let runs = 0;
  for (const { app: each } of [first, second]) {
    each.task("tasks.long", async () => {
      runs++;
      await new Promise((resolve) => setTimeout(resolve, 5000));
      return runs;
    });
  }
  await first.start({ concurrency: 1 });
  await second.start({ concurrency: 1 });
  const result = await first.app.sendTask("tasks.long");
  expect(await result.get({ timeout: 15 })).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  expect(runs).toBe(1);
});

it("what a worker held that vanished runs elsewhere within five seconds of the visibility timeout", async () => {
  const options = { brokerTransportOptions: { visibility_timeout: 1 }, taskAcksLate: true };
  const lost = make(options);
  const redis = new Redis(server.url);
  const queue = lost.app.settings.taskDefaultQueue;
  lost.app.task("tasks.add", (x: number, y: number) => x + y);
  const result = await lost.app.sendTask("tasks.add", [2, 2]);
  // A worker that popped the message, noted it and died: nobody refreshes its score.
  const text = (await redis.rpop(queue)) as string;
  const tag = JSON.parse(text).properties.delivery_tag as string;
  await redis.zadd("unacked_index", Date.now() / 1000, tag);
  await redis.hset("unacked", tag, JSON.stringify([JSON.parse(text), "", queue]));
  const before = Date.now();
  await lost.start();
  expect(await result.get(within)).toBe(4);
  expect(Date.now() - before).toBeLessThan(6000);
  expect(await redis.hlen("unacked")).toBe(0);
  redis.disconnect();
});

it("a worker that finds no broker says so again and again, and starts when it comes", async () => {
  await server.kill();
  const late = make({ brokerConnectionRetryOnStartup: true });
  late.app.task("tasks.add", (x: number, y: number) => x + y);
  const starting = late.start();
  await eventually(() => late.logged("Trying again in 2.00 seconds").length === 1);
  expect(late.logged("consumer: Cannot connect to redis://127.0.0.1")).toHaveLength(1);
  await server.start();
  await starting;
  expect(await (await late.app.sendTask("tasks.add", [3, 4])).get(within)).toBe(7);
});

it("a worker that may not retry gives up at once", async () => {
  const lost = make({ broker: "redis://127.0.0.1:1/0", brokerConnectionRetryOnStartup: false });
  await expect(lost.start()).rejects.toBeInstanceOf(OperationalError);
});
