import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, inject, it } from "vitest";
import { type Celery, TaskError, type Worker } from "../../../src/index.ts";
import { type TestApp, testApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

let test: TestApp;
let app: Celery;
let redis: Redis;
let worker: Worker;

beforeEach(async () => {
  test = testApp();
  app = test.app;
  redis = new Redis(inject("redisUrl"));
  app.task("tasks.add", (x: number, y: number) => x + y);
  worker = await test.start({ concurrency: 2 });
});

afterEach(async () => {
  await app.close();
  redis.disconnect();
});

/** A message as kombu writes it, but for what the test changes. */
function envelope(
  id: string,
  changes: { body?: string; headers?: object; properties?: object; top?: object } = {},
): string {
  const queue = app.settings.taskDefaultQueue;
  return JSON.stringify({
    body: changes.body ?? Buffer.from("[[1, 2], {}, {}]").toString("base64"),
    "content-encoding": "utf-8",
    "content-type": "application/json",
    headers: { lang: "py", task: "tasks.add", id, root_id: id, ...changes.headers },
    properties: {
      correlation_id: id,
      body_encoding: "base64",
      delivery_tag: randomUUID(),
      delivery_info: { exchange: "", routing_key: queue },
      priority: 0,
      ...changes.properties,
    },
    ...changes.top,
  });
}

const base64 = (text: string | Buffer): string => Buffer.from(text).toString("base64");

async function push(...texts: string[]): Promise<void> {
  await redis.lpush(app.settings.taskDefaultQueue, ...texts);
}

/** The worker still serves, holds nothing back, and has left nothing in the queue. */
async function expectHealthy(): Promise<void> {
  const result = await app.sendTask("tasks.add", [20, 22]);
  expect(await result.get({ timeout: 10 })).toBe(42);
  expect(await redis.llen(app.settings.taskDefaultQueue)).toBe(0);
  await eventually(async () => (await redis.hlen("unacked")) === 0);
}

const failing: [name: string, changes: Parameters<typeof envelope>[1], type: string, text: RegExp][] = [
  ["is bad JSON", { body: base64("[[1, 2") }, "DecodeError", /Expecting|Unterminated/],
  ["is not UTF-8", { body: base64(Buffer.from([0xff, 0xfe, 0x00])) }, "DecodeError", /UTF-8/],
  ["is broken base64", { body: "%%%%" }, "DecodeError", /Expecting/],
  ["is empty", { body: "" }, "DecodeError", /Expecting value/],
  ["is a string", { body: base64('"hello"') }, "InvalidTaskError", /list of three/],
  ["is null", { body: base64("null") }, "InvalidTaskError", /list of three/],
  ["is a list of two", { body: base64("[[], {}]") }, "InvalidTaskError", /list of three/],
  [
    "is nested a hundred thousand deep",
    { body: base64(`[[${"[".repeat(100_000)}${"]".repeat(100_000)}], {}, {}]`) },
    "DecodeError",
    /deep|takes 2|missing/,
  ],
  [
    "has an unknown content type",
    { top: { "content-type": "application/x-nonsense" } },
    "ContentDisallowed",
    /x-nonsense/,
  ],
  [
    "is a pickle, which is not accepted",
    { top: { "content-type": "application/x-python-serialize" } },
    "ContentDisallowed",
    /python-serialize/,
  ],
  ["is raw data", { top: { "content-type": "application/data" } }, "InvalidTaskError", /list of three/],
  [
    "has an unknown compression",
    { headers: { compression: "application/x-nonsense" } },
    "SerializerNotInstalled",
    /x-nonsense/,
  ],
  ["is not compressed as it says", { headers: { compression: "application/x-gzip" } }, "DecodeError", /inflated/],
  ["has a timelimit that is no pair", { headers: { timelimit: 5 } }, "InvalidTaskError", /timelimit/],
  ["has an eta that is no time", { headers: { eta: "tomorrow" } }, "InvalidTaskError", /eta/],
  ["has retries that are no number", { headers: { retries: "many" } }, "InvalidTaskError", /retries/],
];

it.each(failing)("survives a message whose body %s, and fails its task", async (_, changes, type, text) => {
  const id = randomUUID();
  await push(envelope(id, changes));
  const error = await app
    .asyncResult(id)
    .get({ timeout: 10 })
    .catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(TaskError);
  expect((error as TaskError).type === type || (error as TaskError).type === "TypeError").toBe(true);
  if ((error as TaskError).type === type) expect((error as TaskError).message).toMatch(text);
  await eventually(() => test.lines.some((line) => line.level === "error"));
  await expectHealthy();
});

const unanswerable: [name: string, text: () => string][] = [
  ["that is no envelope", () => "hello"],
  ["that is a JSON number", () => "42"],
  ["that is a JSON list", () => "[1, 2]"],
  ["without properties", () => '{"body": ""}'],
  ["without an id", () => envelope("", { headers: { id: null } })],
  ["with a number for an id", () => envelope("", { headers: { id: 5 } })],
  ["that names no task", () => envelope(randomUUID(), { headers: { task: undefined } })],
  ["with a list for a task", () => envelope(randomUUID(), { headers: { task: ["a"] } })],
];

it.each(unanswerable)("survives a message %s, and logs it", async (_, text) => {
  await push(text());
  await eventually(() => test.lines.some((line) => ["error", "warn"].includes(line.level)));
  await expectHealthy();
});

it("answers a task that it does not know with NotRegistered", async () => {
  const result = await app.sendTask("tasks.nobody");
  await expect(result.get({ timeout: 10 })).rejects.toMatchObject({ name: "NotRegistered", args: ["tasks.nobody"] });
  expect(test.logged("Received unregistered task of type 'tasks.nobody'")).toHaveLength(1);
  await expectHealthy();
});

it("keeps __proto__ in arguments where it is: a key like any other", async () => {
  const seen: unknown[] = [];
  app.task(
    "tasks.proto",
    (value: Record<string, unknown>) => void seen.push(Object.keys(value), ({} as { polluted?: unknown }).polluted),
  );
  const id = randomUUID();
  const body = base64('[[{"__proto__": {"polluted": 1}, "constructor": 2}], {}, {}]');
  await push(envelope(id, { headers: { task: "tasks.proto" }, body }));
  await app.asyncResult(id).get({ timeout: 10 });
  expect(seen).toEqual([["__proto__", "constructor"], undefined]);
  await expectHealthy();
});

it("takes __proto__ in headers and keywords for keys like any other", async () => {
  const id = randomUUID();
  const text = envelope(id, { body: base64('[[1], {"__proto__": 1}, {}]') }).replace(
    '"lang":',
    '"__proto__": {"polluted": 1}, "lang":',
  );
  await push(text);
  await expect(app.asyncResult(id).get({ timeout: 10 })).rejects.toMatchObject({ type: "TypeError" });
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  await expectHealthy();
});

it("runs a task whose message has a hundred megabytes", async () => {
  app.task("tasks.length", (text: string) => text.length);
  const id = randomUUID();
  const length = 75_000_000;
  await push(envelope(id, { headers: { task: "tasks.length" }, body: base64(`[["${"x".repeat(length)}"], {}, {}]`) }));
  expect(await app.asyncResult(id).get({ timeout: 25 })).toBe(length);
  await expectHealthy();
});

it("takes megabytes without a delivery tag off the queue without holding up the server", async () => {
  app.task("tasks.length", (text: string) => text.length);
  const id = randomUUID();
  const length = 3_000_000;
  const changes = { headers: { task: "tasks.length" }, properties: { delivery_tag: null } };
  await push("[".repeat(length), envelope(id, { ...changes, body: base64(`[["${"x".repeat(length)}"], {}, {}]`) }));
  expect(await app.asyncResult(id).get({ timeout: 15 })).toBe(length);
  await expectHealthy();
});

it("tells messages apart that all have the same delivery tag", async () => {
  app.task("tasks.wait", (..._: number[]) => new Promise((resolve) => setTimeout(resolve, 200)));
  const ids = Array.from({ length: 8 }, () => randomUUID());
  await push(
    ...ids.map((id) => envelope(id, { headers: { task: "tasks.wait" }, properties: { delivery_tag: "celery" } })),
  );
  await Promise.all(ids.map((id) => app.asyncResult(id).get({ timeout: 10 })));
  await expectHealthy();
});

it("goes on serving while a handler never settles and another leaves a rejection to nobody", async () => {
  app.task("tasks.never", () => new Promise(() => {}));
  app.task("tasks.throws", () => {
    throw null;
  });
  await app.sendTask("tasks.never");
  await expect((await app.sendTask("tasks.throws")).get({ timeout: 10 })).rejects.toMatchObject({
    type: "Exception",
    args: [null],
  });
  const result = await app.sendTask("tasks.add", [1, 1]);
  expect(await result.get({ timeout: 10 })).toBe(2);
  await worker.terminate();
});
