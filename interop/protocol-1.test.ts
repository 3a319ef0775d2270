import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type Celery, chain, chord, group } from "../src/index.ts";
import { type Fleet, fleet } from "./fleet.ts";

const within = { timeout: 20 };

describe.skipIf(inject("python") === "")("a fleet that speaks protocol 1 (needs Python 3)", () => {
  let both: Fleet;
  const redis = new Redis(inject("redisUrl"), { lazyConnect: true });

  beforeAll(async () => {
    both = await fleet({ task_protocol: 1 }, {}, serve);
    const names = `
def py(name, *args):
    return signature("tasks." + name, args).set(queue=${JSON.stringify(both.sides.queues.python)})
def ts(name, *args):
    return signature("typescript." + name, args).set(queue=queue)`;
    await both.client.run(names);
  });

  afterAll(async () => {
    redis.disconnect();
    await both?.[Symbol.asyncDispose]();
  });

  const toPython = (): { queue: string } => ({ queue: both.sides.queues.python });
  const here = (name: string) =>
    both.app.remote<number[], number>(`typescript.${name}`, { queue: both.sides.queues.typescript });
  const there = (name: string) => both.app.remote<unknown[], number>(`tasks.${name}`, toPython());

  it("has all of a message in its body", async () => {
    const nobody = `nobody-${randomUUID()}`;
    await both.app.sendTask("tasks.add", [1], {
      kwargs: { y: 2 },
      queue: nobody,
      headers: { tenant: "a" },
      taskId: "t1",
    });
    const ours = JSON.parse((await redis.lpop(nobody)) ?? "{}");
    await both.client.run(
      `app.send_task("tasks.add", (1,), {"y": 2}, queue="${nobody}", headers={"tenant": "a"}, task_id="t1").id`,
    );
    const theirs = JSON.parse((await redis.lpop(nobody)) ?? "{}");
    expect(ours.headers).toEqual(theirs.headers);
    expect(ours.headers).toEqual({ tenant: "a" });
    expect(Buffer.from(ours.body, "base64").toString()).toBe(Buffer.from(theirs.body, "base64").toString());
  });

  it("calls Python, and gets results and errors", async () => {
    const result = await both.app.sendTask("tasks.keywords", [1], { kwargs: { c: 4, d: 5 }, ...toPython() });
    expect(await result.get(within)).toEqual({ a: 1, b: 2, args: [], c: 4, kwargs: { d: 5 } });
    await expect((await there("fail").delay("broken")).get(within)).rejects.toMatchObject({ type: "ValueError" });
    expect(await (await there("flaky").delay(2)).get(within)).toBe(2);
    expect(await (await there("add").applyAsync([1, 2], { countdown: 0.3, expires: 60 })).get(within)).toBe(3);
  });

  it("is called from Python, and gives results and errors", async () => {
    expect(await both.client.run(`ts("add", 1, 2).apply_async(countdown=0.3, expires=60).get(timeout=20)`)).toBe(3);
    expect(await both.client.run(`ts("flaky", 2).delay().get(timeout=20)`)).toBe(2);
    await expect(both.client.run(`ts("fail", "bad").delay().get(timeout=20)`)).rejects.toMatchObject({
      type: "ValueError",
    });
  });

  it("runs chains, which are made of callbacks, from either side", async () => {
    const sent = await chain(here("add").s(1, 2), there("mul").s(10), here("add").s(5), there("add").s(7)).applyAsync();
    expect(await sent.get(within)).toBe(42);
    expect(sent.parent?.parent?.parent?.id).toBeTypeOf("string");
    expect(
      await both.client.run(`chain(ts("add", 1, 2), py("mul", 10), ts("add", 5), py("add", 7))().get(timeout=20)`),
    ).toBe(42);
  });

  it("runs groups, and chords with a chain behind them", async () => {
    const members = await group(here("add").s(1, 1), there("add").s(2, 2)).applyAsync();
    expect(await members.get(within)).toEqual([2, 4]);
    const joined = await chain(
      chord([here("add").s(1, 1), there("add").s(2, 2)], here("sum").s() as never),
      there("add").s(1),
    ).applyAsync();
    expect(await joined.get(within)).toBe(7);
    expect(
      await both.client.run(
        `chain(chord([py("add", 1, 1), ts("add", 2, 2)], ts("sum")), py("add", 1))().get(timeout=20)`,
      ),
    ).toBe(7);
  });

  it("keeps the rest of a chain that came by protocol 2", async () => {
    const second = both.app.remote<number[], number>("typescript.add").s(5);
    await using newer = await fleet({}, { taskDefaultQueue: both.sides.queues.typescript });
    const sent = await chain(newer.app.remote<number[], number>("typescript.flaky").s(1), second).applyAsync();
    expect(await sent.get(within)).toBe(6);
  });

  it("reads the hybrid form: that body, and headers of protocol 2 above it", async () => {
    const id = randomUUID();
    const body = { task: "typescript.other", id: "other", args: [20], kwargs: { y: 22 }, retries: 0, callbacks: null };
    await redis.lpush(both.sides.queues.typescript, hybrid(id, body, both.sides.queues.typescript));
    expect(await both.app.asyncResult(id).get(within)).toBe(42);
  });

  it("takes what only the body of a hybrid says: here that it has expired", async () => {
    const id = randomUUID();
    const body = { task: "typescript.add", id, args: [1, 2], kwargs: {}, expires: "2020-01-01T00:00:00+00:00" };
    await redis.lpush(both.sides.queues.typescript, hybrid(id, body, both.sides.queues.typescript));
    await expect(both.app.asyncResult(id).get(within)).rejects.toMatchObject({
      type: "TaskRevokedError",
      args: ["expired"],
    });
  });
});

/** A message on a Redis list, with a body of protocol 1 and two headers of protocol 2. */
function hybrid(id: string, body: object, queue: string): string {
  return JSON.stringify({
    body: Buffer.from(JSON.stringify(body)).toString("base64"),
    "content-type": "application/json",
    "content-encoding": "utf-8",
    headers: { task: "typescript.add", id },
    properties: {
      correlation_id: id,
      delivery_info: { exchange: "", routing_key: queue },
      delivery_tag: randomUUID(),
      body_encoding: "base64",
    },
  });
}

function serve(app: Celery): void {
  app.task("typescript.add", (x: number, y: number) => x + y);
  app.task("typescript.sum", (numbers: number[]) => numbers.reduce((sum, n) => sum + n, 0));
  app.task("typescript.fail", (message: string) => {
    throw new RangeError(message);
  });
  app.task({ name: "typescript.flaky", bind: true }, (self, failures: number) => {
    if (self.request.retries < failures) throw self.retry({ countdown: 0.1 });
    return self.request.retries;
  });
}
