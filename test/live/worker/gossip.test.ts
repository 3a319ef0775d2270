import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import type { Celery, CeleryEvent } from "../../../src/index.ts";
import { startProxy } from "../../servers/proxy.ts";
import { type TestApp, testApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

let test: TestApp;
let app: Celery;

beforeEach(() => {
  test = testApp();
  app = test.app;
});

afterEach(() => app.close());

it("app.events receives events, and its state tells what they come to", async () => {
  app.task("tasks.add", (x: number, y: number) => x + y);
  const state = app.events.state();
  const types: string[] = [];
  await using receiver = app.events.receiver({
    handlers: {
      "*": (event) => {
        types.push(event.type);
        state.event(event);
      },
    },
  });
  await receiver.start();
  const worker = await test.start({ taskEvents: true, hostname: "one@here" });
  const { id } = await app.sendTask("tasks.add", [1, 2]);
  await eventually(() => state.tasks.get(id)?.state === "SUCCESS");
  expect(state.tasks.get(id)).toMatchObject({
    name: "tasks.add",
    args: "(1, 2)",
    result: "3",
    worker: "one@here",
    received: expect.any(Number),
    started: expect.any(Number),
    succeeded: expect.any(Number),
  });
  expect(state.aliveWorkers().map(({ hostname }) => hostname)).toEqual(["one@here"]);
  expect([state.taskCount, state.taskTypes()]).toEqual([1, ["tasks.add"]]);
  await worker.stop();
  await eventually(() => state.workers.size === 0);
  expect(types.at(-1)).toBe("worker-offline");
});

it("a state takes events in whatever order they come", () => {
  const state = app.events.state();
  const event = (type: string, timestamp: number, fields: object = {}): CeleryEvent => ({
    ...{ type, timestamp, uuid: "a", hostname: "one@here", utcoffset: 0, pid: 1, clock: timestamp },
    ...fields,
  });
  state.event(event("task-succeeded", 3, { result: "3" }));
  state.event(event("task-received", 1, { name: "tasks.add", args: "(1, 2)", result: "none" }));
  state.event(event("task-started", 2));
  expect(state.tasks.get("a")).toMatchObject({ state: "SUCCESS", timestamp: 3, name: "tasks.add", result: "3" });
});

it("task events are switched on and off while the worker runs", async () => {
  app.task("tasks.add", (x: number, y: number) => x + y);
  const types: string[] = [];
  await using receiver = app.events.receiver({ handlers: { "*": ({ type }) => void types.push(type) } });
  await receiver.start();
  const worker = await test.start();
  const run = async (): Promise<unknown> => (await app.sendTask("tasks.add", [1, 2])).get({ timeout: 5 });
  const tasks = (): string[] => types.filter((type) => type.startsWith("task-"));
  await run();
  const [on] = await app.control.enableEvents({ reply: true, limit: 1 });
  expect(on?.[worker.hostname]).toEqual({ ok: "task events enabled" });
  await run();
  await eventually(() => tasks().length === 3);
  const [off] = await app.control.disableEvents({ reply: true, limit: 1 });
  expect(off?.[worker.hostname]).toEqual({ ok: "task events disabled" });
  await run();
  await app.control.heartbeat();
  const before = types.length;
  await eventually(() => types.slice(before).includes("worker-heartbeat"));
  expect(tasks()).toEqual(["task-received", "task-started", "task-succeeded"]);
});

it("events are kept while the broker is away, and sent in their order", async () => {
  const proxy = await startProxy(Number(new URL(inject("redisUrl")).port));
  const { taskDefaultQueue, controlExchange, eventExchange } = app.settings;
  const other = testApp({
    ...{ taskDefaultQueue, controlExchange, eventExchange },
    broker: `redis://127.0.0.1:${proxy.port}/0`,
    taskPublishTimeoutMs: 500,
  });
  let finish = (): void => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  other.app.task("tasks.wait", () => finished);
  const types: string[] = [];
  await using receiver = app.events.receiver({ handlers: { "*": ({ type }) => void types.push(type) } });
  await receiver.start();
  const worker = await other.start({ taskEvents: true });
  await app.sendTask("tasks.wait");
  await eventually(() => types.includes("task-started"));
  await proxy.refuse();
  finish();
  await eventually(() => worker.state.active.size === 0);
  await proxy.accept();
  await eventually(() => types.includes("task-succeeded"), 20_000);
  await other.app.close();
  await proxy.refuse();
});

describe.each([["Redis", "redisUrl"] as const, ["RabbitMQ", "amqpUrl"] as const])("gossip over %s", (_, url) => {
  it("makes workers know each other, and choose one of them in an election", async () => {
    const apps = [testApp({ broker: inject(url) })];
    const { taskDefaultQueue, controlExchange, eventExchange } = (apps[0] as TestApp).app.settings;
    apps.push(testApp({ broker: inject(url), taskDefaultQueue, controlExchange, eventExchange }));
    const ran: string[] = [];
    for (const { app: each } of apps) each.task("tasks.note", (text: string) => void ran.push(text));
    await Promise.all(apps.map((each) => each.start({ heartbeatInterval: 0.2 })));
    const [first] = apps.map((each) => each.app) as [Celery];
    await eventually(() => apps.every((each) => each.logged("joined the party").length > 0));
    await first.control.election("one", "task", first.signature("tasks.note", ["elected"]).toJSON());
    await eventually(() => ran.length > 0);
    await eventually(() => apps.flatMap((each) => each.logged("election 'one'")).length === 1);
    await eventually(() => apps.flatMap((each) => each.logged("elected for 'one'")).length === 1);
    expect(ran).toEqual(["elected"]);
    await Promise.all(apps.map((each) => each.app.close()));
  });
});
