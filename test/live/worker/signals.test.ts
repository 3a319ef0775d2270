import { afterEach, beforeEach, expect, it } from "vitest";
import { json } from "../../../protocol/serialization/json.ts";
import { type Celery, Reject, type Self, type SignalName } from "../../../src/index.ts";
import { type TestApp, testApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

const within = { timeout: 10 };
let test: TestApp;
let app: Celery;
let told: [SignalName, Record<string, unknown>][];

beforeEach(() => {
  test = testApp();
  app = test.app;
  told = [];
});

afterEach(() => app.close());

/** Notes every event of these signals. */
function listen(...names: SignalName[]): void {
  for (const name of names) app.signals.connect(name, (event) => told.push([name, { ...event }]));
}

const of = (name: SignalName): Record<string, unknown>[] =>
  told.flatMap(([told, event]) => (told === name ? [event] : []));

it("before a task is sent its headers and properties can be changed, and the worker gets them so", async () => {
  listen("after_task_publish");
  app.signals.connect("before_task_publish", async ({ sender, headers, properties, body, routingKey, declare }) => {
    await Promise.resolve();
    expect([sender, (body as unknown[])[0], declare]).toEqual(["tasks.seen", [1], [routingKey]]);
    headers.tenant = "a";
    properties.priority = 7;
  });
  app.task({ name: "tasks.seen", bind: true }, ({ request }: Self, _: number) => [
    request.headers,
    request.deliveryInfo.priority,
  ]);
  await test.start();
  const sent = await app.sendTask("tasks.seen", [1]);
  expect(await sent.get(within)).toEqual([{ tenant: "a" }, 7]);
  const after = { sender: "tasks.seen", exchange: "", routingKey: app.settings.taskDefaultQueue };
  expect(of("after_task_publish")).toMatchObject([{ ...after, headers: { id: sent.id, tenant: "a" } }]);
});

it("a receiver is told of the task that it asks for, until it is disconnected, and what it throws is logged", async () => {
  const add = app.task("tasks.add", (x: number) => x + 1);
  const other = app.task("tasks.other", () => 1);
  const seen: unknown[] = [];
  const receiver = ({ result }: { result: unknown }): void => {
    seen.push(result);
    throw new Error("of a receiver");
  };
  app.signals.connect("task_success", receiver, { sender: "tasks.add" });
  app.signals.connect("task_success", async () => Promise.reject(new Error("later")));
  await test.start();
  expect(await (await add.delay(1)).get(within)).toBe(2);
  await (await other.delay()).get(within);
  await eventually(() => test.logged("Signal handler task_success raised: Error: later").length === 2);
  expect(seen).toEqual([2]);
  expect(test.logged("Signal handler receiver raised: Error: of a receiver")).toHaveLength(1);
  expect(app.signals.disconnect("task_success", receiver)).toBe(true);
  expect(app.signals.disconnect("task_success", receiver)).toBe(false);
  await (await add.delay(2)).get(within);
  expect(seen).toEqual([2]);
});

it("there are no others than Celery's", () => {
  expect(() => app.signals.connect("task_prernu" as SignalName, () => {})).toThrow(
    /^There is no signal task_prernu\. They are: before_task_publish, /,
  );
});

it("messages that are no tasks, and tasks that nobody knows, are told of", async () => {
  listen("task_rejected", "task_unknown");
  const worker = await test.start();
  const broker = await app.broker();
  await broker.connect();
  const route = { exchange: "", routingKey: app.settings.taskDefaultQueue };
  const body = json.encode({ no: "task" }) as Uint8Array;
  const message = { body, contentType: "application/json", contentEncoding: "utf-8" };
  await broker.publish({ ...message, headers: {}, properties: {} }, route, 5000);
  await broker.publish({ ...message, headers: { id: "x", task: "tasks.x", eta: 5 }, properties: {} }, route, 5000);
  const unknown = await app.sendTask("tasks.nobody", []);
  await expect(unknown.get(within)).rejects.toMatchObject({ type: "NotRegistered" });
  await eventually(() => told.length === 3);
  const sender = worker.hostname;
  expect(of("task_unknown")).toMatchObject([{ sender, name: "tasks.nobody", id: unknown.id }]);
  expect(of("task_rejected")).toMatchObject([
    { sender, exc: null, message: { headers: {} } },
    { sender, exc: { code: "ERR_INVALID_TASK_ERROR" }, message: { headers: { id: "x" } } },
  ]);
});

it("an error of a hook changes nothing, and is an internal one; a Reject is the message's end", async () => {
  listen("task_internal_error");
  const failing = app.task(
    {
      name: "tasks.failing",
      onFailure: async () => {
        throw new Error("of a hook");
      },
    },
    () => {
      throw new RangeError("of the task");
    },
  );
  const rejected = app.task(
    {
      name: "tasks.rejected",
      acksLate: true,
      onSuccess: () => {
        throw new Reject("once more", app.currentTask?.request.deliveryInfo.redelivered === false);
      },
    },
    () => "done",
  );
  await test.start();
  const failed = await failing.delay();
  await expect(failed.get(within)).rejects.toMatchObject({ type: "ValueError", message: "of the task" });
  await eventually(() => of("task_internal_error").length === 1);
  expect(of("task_internal_error")).toMatchObject([
    { sender: "tasks.failing", taskId: failed.id, exception: { message: "of a hook" } },
  ]);
  expect(test.logged("onFailure handler raised: Error: of a hook")).toHaveLength(1);
  listen("task_postrun");
  const again = await rejected.delay();
  expect(await again.get(within)).toBe("done");
  await eventually(() => of("task_postrun").filter(({ taskId }) => taskId === again.id).length === 2);
});

it("a worker tells of its beginning, its heartbeats and its end", async () => {
  listen("celeryd_init", "worker_init", "celeryd_after_setup", "worker_ready", "heartbeat_sent");
  listen("worker_shutting_down", "worker_shutdown");
  app.signals.connect("celeryd_init", ({ conf }) => {
    conf.workerConcurrency = 3;
  });
  const worker = await test.start({ heartbeatInterval: 0.05, concurrency: undefined as never });
  expect(worker.concurrency).toBe(3);
  await eventually(() => of("heartbeat_sent").length > 2);
  await worker.stop();
  const names = told.map(([name]) => name).filter((name, at, all) => all.indexOf(name) === at);
  expect(names).toEqual([
    ...["celeryd_init", "worker_init", "celeryd_after_setup", "heartbeat_sent", "worker_ready"],
    ...["worker_shutting_down", "worker_shutdown"],
  ]);
  expect(of("worker_shutting_down")).toMatchObject([{ sender: worker.hostname, sig: null, how: "Warm", exitcode: 0 }]);
  expect(of("worker_ready")[0]?.instance).toBe(worker);
});
