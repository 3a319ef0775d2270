import { randomUUID } from "node:crypto";
import { type ChannelModel, connect, type Options } from "amqplib";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { type Celery, OperationalError, TaskError } from "../../../src/index.ts";
import { startProxy, type TcpProxy } from "../../servers/proxy.ts";
import { type TestApp, testApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

/** `basic.ack` as it stands on the wire: the broker has what was published. */
const CONFIRM = [0, 60, 0, 80];

let proxy: TcpProxy;
let other: ChannelModel;
let test: TestApp;
let app: Celery;
const apps: Celery[] = [];

/** An application whose connections to RabbitMQ go through the proxy. */
function make(settings: object = {}): TestApp {
  const url = new URL(inject("amqpUrl"));
  url.host = `127.0.0.1:${proxy.port}`;
  const made = testApp({ broker: url.href, ...settings });
  apps.push(made.app);
  return made;
}

beforeEach(async () => {
  const { port, hostname } = new URL(inject("amqpUrl"));
  proxy = await startProxy(Number(port || 5672), hostname);
  other = await connect(inject("amqpUrl"));
  other.on("error", () => undefined);
  test = make();
  app = test.app;
  app.task("tasks.add", (x: number, y: number) => x + y);
});

afterEach(async () => {
  const channel = await other.createChannel();
  for (const { settings } of apps) await channel.deleteQueue(settings.taskDefaultQueue);
  await Promise.all(apps.splice(0).map((made) => made.close()));
  await other.close();
  await proxy.refuse();
});

const within = { timeout: 10 };
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Counts messages that wait, by another connection. */
async function waiting(name = app.settings.taskDefaultQueue): Promise<number> {
  const channel = await other.createChannel();
  const { messageCount } = await channel.checkQueue(name);
  await channel.close();
  return messageCount;
}

describe("a worker whose connection breaks", () => {
  it("five times in a row goes on each time, its prefetch and its mailbox intact", async () => {
    const worker = await test.start({ concurrency: 2, prefetchMultiplier: 1 });
    for (let round = 0; round < 5; round++) {
      proxy.cut();
      expect(await (await app.sendTask("tasks.add", [round, 1])).get(within)).toBe(round + 1);
    }
    expect(test.logged("Connection to broker lost").length).toBeGreaterThan(0);
    await eventually(() => test.logged("again").length > 0);
    app.task("tasks.wait", () => sleep(600));
    await Promise.all(Array.from({ length: 6 }, () => app.sendTask("tasks.wait")));
    await eventually(() => worker.state.active.size === 2);
    await sleep(200);
    // Tasks are acknowledged when they begin: two run, two more are in hand.
    expect(await waiting()).toBe(2);
    expect(await app.control.inspect({ timeout: 0.5 }).ping()).toEqual({ [worker.hostname]: { ok: "pong" } });
    await eventually(async () => (await waiting()) === 0);
  });

  it("runs each task once that it held and had not begun, and shows none of them twice", async () => {
    const runs: number[] = [];
    app.task("tasks.first", () => sleep(1000));
    app.task("tasks.count", (number: number) => void runs.push(number));
    const worker = await test.start({ concurrency: 1, prefetchMultiplier: 10 });
    await app.sendTask("tasks.first");
    await eventually(() => worker.state.active.size === 1);
    const results = await Promise.all([0, 1, 2, 3].map((number) => app.sendTask("tasks.count", [number])));
    await eventually(() => worker.state.reserved.size === 5);
    proxy.cut();
    await eventually(() => test.logged("again").length === 1);
    await eventually(() => worker.state.reserved.size === 5);
    await Promise.all(results.map((result) => result.get(within)));
    await sleep(100);
    expect(runs.sort()).toEqual([0, 1, 2, 3]);
    expect(worker.state.reserved.size).toBe(0);
  });

  it("runs each task once that waited for its time", async () => {
    const runs: number[] = [];
    app.task("tasks.later", (number: number) => void runs.push(number));
    const worker = await test.start();
    const results = await Promise.all(
      [0, 1, 2].map((number) => app.sendTask("tasks.later", [number], { countdown: 1 })),
    );
    await eventually(() => worker.state.scheduled.size === 3);
    for (let cuts = 1; cuts <= 2; cuts++) {
      proxy.cut();
      await eventually(() => test.logged("again").length === cuts);
      await eventually(() => worker.state.scheduled.size === 3);
    }
    await Promise.all(results.map((result) => result.get(within)));
    await sleep(100);
    expect(runs.sort()).toEqual([0, 1, 2]);
    expect(worker.state.scheduled.size).toBe(0);
  });

  it("lets a task that runs finish and store its result", async () => {
    app.task("tasks.slow", async () => {
      await sleep(400);
      return "done";
    });
    const worker = await test.start();
    const result = await app.sendTask("tasks.slow");
    await eventually(() => worker.state.active.size === 1);
    proxy.cut();
    expect(await result.get(within)).toBe("done");
    expect(await waiting()).toBe(0);
  });

  it("gets a task that it would acknowledge late once more, and loses nothing", async () => {
    const redelivered: boolean[] = [];
    app.task({ name: "tasks.late", acksLate: true, bind: true }, async (self) => {
      redelivered.push(self.request.deliveryInfo.redelivered);
      await sleep(300);
      return redelivered.length;
    });
    const worker = await test.start();
    const result = await app.sendTask("tasks.late");
    await eventually(() => worker.state.active.size === 1);
    proxy.cut();
    expect(await result.get(within)).toBeGreaterThan(0);
    await eventually(() => redelivered.length === 2 && worker.state.active.size === 0);
    expect(redelivered).toEqual([false, true]);
    expect(await waiting()).toBe(0);
    await worker.stop();
    expect(await waiting()).toBe(0);
  });

  it("while a task sends others sends them all", async () => {
    app.task("tasks.next", (number: number) => number);
    let isSent = false;
    app.task("tasks.fan", async () => {
      await eventually(() => isSent);
      proxy.cutAt("server", CONFIRM);
      return Promise.all([1, 2, 3].map(async (number) => (await app.sendTask("tasks.next", [number])).id));
    });
    await test.start();
    const result = await app.sendTask("tasks.fan");
    isSent = true;
    const ids = await result.get(within);
    expect(await Promise.all((ids as string[]).map((id) => app.asyncResult(id).get(within)))).toEqual([1, 2, 3]);
  });

  it("while it stops stops all the same, and leaves to others what had not begun", async () => {
    app.task("tasks.slow", () => sleep(600));
    const worker = await test.start({ concurrency: 1 });
    await Promise.all([1, 2, 3].map(() => app.sendTask("tasks.slow")));
    await eventually(() => worker.state.reserved.size === 3);
    const stopping = worker.stop();
    await sleep(50);
    proxy.cut();
    const before = Date.now();
    await stopping;
    expect(Date.now() - before).toBeLessThan(3000);
    expect(await waiting()).toBe(2);
  });
});

describe("sending tasks", () => {
  it("while the broker is away for a moment succeeds when it is back", async () => {
    await app.sendTask("tasks.add", [0, 0]);
    await proxy.refuse();
    const sending = app.sendTask("tasks.add", [1, 1]);
    setTimeout(() => void proxy.accept(), 500);
    await sending;
    expect(await waiting()).toBe(2);
  });

  it("to a broker that stays away rejects within its time and says why, whether it was ever there or not", async () => {
    const { app: sender } = make({ taskPublishTimeoutMs: 1500 });
    await sender.sendTask("tasks.add", [0, 0]);
    await proxy.refuse();
    const { app: late } = make({ taskPublishTimeoutMs: 1500 });
    for (const each of [sender, late]) {
      const before = Date.now();
      const error = await each.sendTask("tasks.add", [1, 1]).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(OperationalError);
      expect((error as Error).message).toContain(`amqp://guest:**@127.0.0.1:${proxy.port}`);
      expect((error as Error).message).toContain("ECONNREFUSED");
      expect(Date.now() - before).toBeLessThan(2500);
    }
    await proxy.accept();
  });

  it("a worker that finds no broker says so, and starts when it comes", async () => {
    await proxy.refuse();
    const late = make({ brokerConnectionRetryOnStartup: true });
    late.app.task("tasks.add", (x: number, y: number) => x + y);
    const starting = late.start();
    await eventually(() => late.logged("Trying again in 2.00 seconds").length === 1);
    expect(late.logged("consumer: Cannot connect to amqp://guest:**@127.0.0.1")).toHaveLength(1);
    await proxy.accept();
    await starting;
    expect(await (await late.app.sendTask("tasks.add", [3, 4])).get(within)).toBe(7);
  });
});

describe("a worker on quorum queues", () => {
  it("serves one that its settings take for a classic queue", async () => {
    const channel = await other.createChannel();
    await channel.assertQueue(app.settings.taskDefaultQueue, { arguments: { "x-queue-type": "quorum" } });
    await test.start({ concurrency: 2 });
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, number) => app.sendTask("tasks.add", [number, 1])),
    );
    expect(await Promise.all(results.map((result) => result.get(within)))).toEqual(results.map((_, at) => at + 1));
    expect(test.logged("x-queue-type quorum, where the settings say nothing").length).toBeGreaterThan(0);
    await eventually(async () => (await waiting()) === 0);
  });
});

describe("a worker survives a message", () => {
  const DEAD = "dead-letters";

  interface Sent {
    body?: string | Buffer;
    contentType?: string;
    headers?: object;
    /** In place of all properties. */
    properties?: Options.Publish;
  }

  /** Sends a message as py-amqp would, but for what the test changes. */
  async function send(
    id: string,
    { body = "[[1, 2], {}, {}]", contentType = "application/json", headers, properties }: Sent,
  ): Promise<void> {
    const channel = await other.createConfirmChannel();
    const usual = {
      contentType,
      contentEncoding: "utf-8",
      correlationId: id,
      headers: { lang: "py", task: "tasks.add", id, root_id: id, ...headers },
    };
    channel.sendToQueue(app.settings.taskDefaultQueue, Buffer.from(body), properties ?? usual);
    await channel.waitForConfirms();
    await channel.close();
  }

  const dead = (): string => `${app.settings.taskDefaultQueue}-${DEAD}`;

  beforeEach(async () => {
    const channel = await other.createChannel();
    await channel.assertQueue(dead());
    const deadLettering = { deadLetterExchange: "", deadLetterRoutingKey: dead() };
    await channel.assertQueue(app.settings.taskDefaultQueue, { durable: true, ...deadLettering });
    await channel.close();
    await test.start({ concurrency: 2 });
  });

  afterEach(async () => {
    const channel = await other.createChannel();
    await channel.deleteQueue(dead());
    await channel.close();
  });

  /** The worker still serves, on the connection that it had, and has left nothing behind. */
  async function expectHealthy(): Promise<void> {
    expect(await (await app.sendTask("tasks.add", [20, 22])).get(within)).toBe(42);
    expect(await waiting()).toBe(0);
    expect(test.logged("lost")).toEqual([]);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  }

  const failing: [what: string, sent: Sent, type: RegExp][] = [
    ["that is bad JSON", { body: "[[1, 2" }, /DecodeError/],
    ["that is empty", { body: "" }, /DecodeError/],
    ["that is not UTF-8", { body: Buffer.from([0xff, 0xfe, 0]) }, /DecodeError/],
    ["that is a string", { body: '"hello"' }, /InvalidTaskError/],
    ["nested too deep", { body: `[[${"[".repeat(1e5)}${"]".repeat(1e5)}], {}, {}]` }, /DecodeError|TypeError/],
    ["of an unknown content type", { contentType: "application/x-nonsense" }, /ContentDisallowed/],
    [
      "that is a pickle",
      { body: Buffer.from("80049529", "hex"), contentType: "application/x-python-serialize" },
      /ContentDisallowed/,
    ],
    ["whose keywords are __proto__", { body: '[[1], {"__proto__": {"polluted": 1}}, {}]' }, /TypeError/],
    ["with an eta that is no time", { headers: { eta: "tomorrow" } }, /InvalidTaskError/],
    ["with an unknown compression", { headers: { compression: "application/x-nonsense" } }, /SerializerNotInstalled/],
  ];

  it.each(failing)("%s, and fails its task", async (_, sent, type) => {
    const id = randomUUID();
    await send(id, sent);
    const result = app.asyncResult(id).get(within);
    const error = await result.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(TaskError);
    expect((error as TaskError).type).toMatch(type);
    await eventually(() => test.lines.some((line) => line.level === "error"));
    // What the task itself says is wrong is an answer like any other; what cannot be read is rejected.
    if ((error as TaskError).type !== "TypeError") await eventually(async () => (await waiting(dead())) === 1);
    await expectHealthy();
  });

  const unanswerable: [what: string, sent: Sent][] = [
    ["without headers", { properties: { contentType: "application/json", contentEncoding: "utf-8" } }],
    ["without anything", { body: "hello", properties: {} }],
    ["without an id", { headers: { id: null } }],
    ["with a number for an id", { headers: { id: 5 } }],
    ["with a table for a task", { headers: { task: { "__proto__ ": 1 } } }],
    ["with bytes for a task", { headers: { task: Buffer.from("tasks.add") } }],
  ];

  it.each(unanswerable)("%s, and rejects it", async (_, sent) => {
    await send(randomUUID(), sent);
    await eventually(() => test.logged("rejected").length === 1);
    await eventually(async () => (await waiting(dead())) === 1);
    await expectHealthy();
  });

  it("with __proto__ in headers and arguments: keys like any other", async () => {
    const seen: unknown[] = [];
    app.task({ name: "tasks.proto", bind: true }, (self, value: object) => {
      seen.push(Object.keys(value), Object.keys(self.request.headers));
    });
    const id = randomUUID();
    const hostile = JSON.parse('{"__proto__": {"polluted": 1}, "constructor": 2}') as object;
    await send(id, {
      body: '[[{"__proto__": {"polluted": 1}, "constructor": 2}], {}, {}]',
      headers: Object.assign(Object.create(null), { task: "tasks.proto", hostile }),
    });
    await app.asyncResult(id).get(within);
    expect(seen[0]).toEqual(["__proto__", "constructor"]);
    expect(seen[1]).toEqual(["hostile"]);
    await expectHealthy();
  });

  it("with a header that is nested a thousand deep", async () => {
    let nested: object = {};
    for (let depth = 0; depth < 1000; depth++) nested = { a: nested };
    const id = randomUUID();
    await send(id, { headers: { nested } });
    expect(await app.asyncResult(id).get(within)).toBe(3);
    await expectHealthy();
  });
});
