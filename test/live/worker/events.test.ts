import { afterEach, beforeEach, expect, it } from "vitest";
import type { CeleryEvent } from "../../../protocol/event/event.ts";
import { json } from "../../../protocol/serialization/json.ts";
import { exchange, queue } from "../../../protocol/transport/entities.ts";
import type { Celery } from "../../../src/index.ts";
import { type TestApp, testApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

let test: TestApp;
let app: Celery;
let events: CeleryEvent[];
let keys: string[];

beforeEach(async () => {
  test = testApp();
  app = test.app;
  events = [];
  keys = [];
  const broker = await app.broker();
  await broker.connect();
  const type = broker.transport === "redis" ? "fanout" : "topic";
  const bound = exchange(app.settings.eventExchange, { type });
  await broker.consume(
    [
      queue(`${app.settings.eventExchange}.monitor`, {
        exchange: bound,
        routingKey: "#",
        autoDelete: true,
        durable: false,
      }),
    ],
    {
      prefetch: 0,
      noAck: true,
      onDelivery({ message, routingKey }) {
        keys.push(routingKey);
        const body = json.decode(message.body);
        events.push(...((Array.isArray(body) ? body : [body]) as CeleryEvent[]));
      },
      onUnreadable: () => {},
    },
  );
});

afterEach(() => app.close());

const types = (): string[] => events.map((event) => event.type);

it("tells of a task from its receipt to its end, and of the worker's beginning and end", async () => {
  app.task("tasks.add", (x: number, y: number) => x + y);
  const worker = await test.start({ taskEvents: true, heartbeatInterval: 0.2 });
  const result = await app.sendTask("tasks.add", [1, 2]);
  await result.get({ timeout: 5 });
  await eventually(() => types().includes("worker-heartbeat") && types().includes("task-succeeded"));
  await worker.stop();
  await eventually(() => types().includes("worker-offline"));
  expect(types().filter((type) => type !== "worker-heartbeat")).toEqual([
    "worker-online",
    "task-received",
    "task-started",
    "task-succeeded",
    "worker-offline",
  ]);
  const received = events.find((event) => event.type === "task-received");
  expect(received).toMatchObject({
    uuid: result.id,
    name: "tasks.add",
    args: "(1, 2)",
    kwargs: "{}",
    root_id: result.id,
    parent_id: null,
    retries: 0,
    eta: null,
    expires: null,
    hostname: worker.hostname,
    pid: process.pid,
  });
  expect(events.find((event) => event.type === "task-succeeded")).toMatchObject({
    result: "3",
    runtime: expect.any(Number),
  });
  expect(events.find((event) => event.type === "worker-heartbeat")).toMatchObject({
    sw_ident: "celeriac",
    freq: 0.2,
    active: expect.any(Number),
  });
  const clocks = events.map((event) => Number(event.clock));
  expect(new Set(clocks).size).toBe(clocks.length);
  expect(keys).toContain("task.multi");
  expect(keys).toContain("worker.online");
});

it("tells of failures, retries, rejections, revocations and unknown tasks", async () => {
  app.task({ name: "tasks.fail", bind: true }, (self, how: string) => {
    if (how === "retry" && self.request.retries === 0) throw self.retry({ countdown: 0, exc: new RangeError("again") });
    if (how === "fail") throw new RangeError("bad");
  });
  await test.start({ taskEvents: true });
  await Promise.all([
    app.sendTask("tasks.fail", ["fail"]),
    app.sendTask("tasks.fail", ["retry"]),
    app.sendTask("tasks.fail", ["late"], { expires: new Date(Date.now() - 1000) }),
    app.sendTask("tasks.unknown"),
  ]);
  await eventually(() => types().filter((type) => /failed|retried|revoked|succeeded/.test(type)).length >= 5);
  expect(events.find((event) => event.type === "task-retried")).toMatchObject({ exception: "ValueError('again')" });
  expect(events.find((event) => event.type === "task-revoked")).toMatchObject({
    terminated: false,
    signum: null,
    expired: true,
  });
  const failed = events.filter((event) => event.type === "task-failed").map((event) => event.exception);
  expect(failed.sort()).toEqual(["NotRegistered('tasks.unknown')", "ValueError('bad')"]);
});

it("tells nothing of tasks unless it is asked to", async () => {
  app.task("tasks.add", (x: number, y: number) => x + y);
  await test.start();
  await (await app.sendTask("tasks.add", [1, 2])).get({ timeout: 5 });
  expect(types().filter((type) => type.startsWith("task-"))).toEqual([]);
});

it("tells of tasks that are sent, with taskSendSentEvent", async () => {
  const sender = testApp({ ...ownOf(app), taskSendSentEvent: true }).app;
  const result = await sender.sendTask("tasks.add", [1, 2], { countdown: 100 });
  await eventually(() => types().includes("task-sent"));
  expect(events[0]).toMatchObject({
    type: "task-sent",
    uuid: result.id,
    name: "tasks.add",
    args: "(1, 2)",
    queue: app.settings.taskDefaultQueue,
    exchange: "",
    routing_key: app.settings.taskDefaultQueue,
    hostname: expect.stringMatching(/^gen\d+@/),
  });
  await sender.close();
});

function ownOf({ settings }: Celery): object {
  const { taskDefaultQueue, controlExchange, eventExchange } = settings;
  return { taskDefaultQueue, controlExchange, eventExchange };
}
