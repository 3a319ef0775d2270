import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, inject, it } from "vitest";
import { exchange, queue } from "../../../protocol/transport/entities.ts";
import { RedisBroker } from "../../../src/brokers/redis/redis-broker.ts";
import { brokerOptions, consume, message, publishMany } from "../../exercise/broker.ts";
import { eventually } from "../../support/eventually.ts";

let redis: Redis;
let prefix: string;
const brokers: RedisBroker[] = [];

beforeEach(() => {
  redis = new Redis(inject("redisUrl"));
  prefix = `layout-${randomUUID()}:`;
});

afterEach(async () => {
  await Promise.all(brokers.splice(0).map((broker) => broker.close()));
  const keys = await redis.keys(`${prefix}*`);
  if (keys.length > 0) await redis.del(...keys);
  redis.disconnect();
});

async function open(transportOptions: Record<string, unknown> = {}): Promise<RedisBroker> {
  const all = { global_keyprefix: prefix, ...transportOptions };
  const broker = new RedisBroker(brokerOptions({ urls: () => [inject("redisUrl")], transportOptions: () => all }));
  brokers.push(broker);
  await broker.connect();
  return broker;
}

const tasks = queue("tasks");
const key = (name: string): string => prefix + name;

it("a message lies in its queue's list as kombu writes it", async () => {
  const broker = await open();
  await broker.publish(message({}, { expiration: "5000" }), { exchange: "", routingKey: "tasks" }, 1000);
  const text = (await redis.lindex(key("tasks"), 0)) as string;
  const tag = JSON.parse(text).properties.delivery_tag;
  expect(text).toBe(
    '{"body": "W1sxLCAiXHUwMGU5Il0sIHt9LCB7fV0=", "content-encoding": "utf-8", "content-type": "application/json", ' +
      '"headers": {"task": "exercise", "id": "the-id"}, "properties": {"correlation_id": "the-id", "reply_to": "me", ' +
      '"delivery_mode": 2, "expiration": "5000", "delivery_info": {"exchange": "", "routing_key": "tasks"}, "priority": 0, ' +
      `"body_encoding": "base64", "delivery_tag": "${tag}"}}`,
  );
});

it("a priority goes to the list of its step, and the lists are served from 0 up", async () => {
  const broker = await open();
  for (const priority of [0, 2, 3, 8, 9, 200, -5]) {
    await broker.publish(message({ priority }, { priority }), { exchange: "", routingKey: "tasks" }, 1000);
  }
  const lengths = await Promise.all(
    ["tasks", "tasks\x06\x163", "tasks\x06\x166", "tasks\x06\x169"].map((name) => redis.llen(key(name))),
  );
  expect(lengths).toEqual([3, 1, 1, 2]);
  const { deliveries } = await consume(broker, [tasks], { prefetch: 0 });
  await eventually(() => deliveries.length === 7);
  expect(deliveries.map((delivery) => delivery.message.headers.priority)).toEqual([0, 2, -5, 3, 8, 9, 200]);
});

it("a held message is in unacked under its delivery tag, with its time in unacked_index, until it is settled", async () => {
  const broker = await open();
  await publishMany(broker, tasks, 1);
  const text = (await redis.lindex(key("tasks"), 0)) as string;
  const tag = JSON.parse(text).properties.delivery_tag;
  const { deliveries } = await consume(broker, [tasks]);
  const [delivery] = await eventually(() => deliveries.length === 1 && deliveries);
  expect(await redis.hgetall(key("unacked"))).toEqual({ [tag]: `[${text}, "", "tasks"]` });
  expect(Math.abs(Number(await redis.zscore(key("unacked_index"), tag)) - Date.now() / 1000)).toBeLessThan(5);
  delivery?.ack();
  await eventually(async () => (await redis.exists(key("unacked"), key("unacked_index"))) === 0);
});

it("a requeued message goes behind everything, a restored one is served next, both marked", async () => {
  const broker = await open();
  await publishMany(broker, tasks, 3);
  const { deliveries, consumer } = await consume(broker, [tasks], { prefetch: 2 });
  await eventually(() => deliveries.length === 2);
  deliveries[0]?.reject({ requeue: true });
  await eventually(() => deliveries.length === 3 || consumer.unsettled === 1);
  await consumer.close();
  const numbers = (await redis.lrange(key("tasks"), 0, -1)).map((text) => JSON.parse(text));
  expect(numbers.map((raw) => raw.headers.number)).toContain(0);
  expect(numbers.at(0).headers.number).toBe(0);
  for (const raw of numbers.filter((each) => each.headers.redelivered)) {
    expect(raw.properties.delivery_info.redelivered).toBe(true);
  }
  expect(numbers.filter((raw) => raw.headers.redelivered).length).toBeGreaterThanOrEqual(2);
});

it("bindings are kept as kombu keeps them, also those of queues that expire", async () => {
  const broker = await open();
  const topics = exchange("topics", { type: "topic" });
  await broker.declare(queue("tasks", { exchange: topics, routingKey: "a_b.*.#" }));
  await broker.declare(
    queue("short", { exchange: exchange("reply"), routingKey: "me", arguments: { "x-expires": 10_000 } }),
  );
  const member = "a_b.*.#\x06\x16^a\\_b\\.[^\\.]+\\..*?$\x06\x16tasks";
  expect(await redis.smembers(key("_kombu.binding.topics"))).toEqual([member]);
  expect(await redis.smembers(key("_kombu.binding_permanent.topics"))).toEqual([member]);
  expect(await redis.smembers(key("_kombu.binding.reply"))).toEqual(["me\x06\x16\x06\x16short"]);
  expect(await redis.exists(key("_kombu.binding_permanent.reply"))).toBe(0);
  const deadline = Number(await redis.zscore(key("_kombu.binding_deadlines"), "reply"));
  expect(deadline - Date.now()).toBeGreaterThan(3_500_000);
});

it("a fanout goes over the channel that kombu listens on", async () => {
  const broker = await open();
  const heard: [string, string][] = [];
  const listener = redis.duplicate();
  await listener.psubscribe(`${prefix}/0.*`);
  listener.on("pmessage", (_, channel, text) => heard.push([channel, text]));
  await broker.declareExchange(exchange("celeryev", { type: "fanout" }));
  await broker.publish(message({}), { exchange: "celeryev", routingKey: "worker.heartbeat" }, 1000);
  await broker.publish(message({}), { exchange: "celeryev", routingKey: "" }, 1000);
  await eventually(() => heard.length === 2);
  expect(heard.map(([channel]) => channel)).toEqual([`${prefix}/0.celeryev/worker.heartbeat`, `${prefix}/0.celeryev`]);
  expect(JSON.parse(heard[0]?.[1] ?? "").properties.delivery_info).toEqual({
    exchange: "celeryev",
    routing_key: "worker.heartbeat",
  });
  listener.disconnect();
});

it("body_encoding null leaves bodies as the text that they are", async () => {
  const broker = await open({ body_encoding: null });
  await broker.publish(message({}), { exchange: "", routingKey: "tasks" }, 1000);
  const raw = JSON.parse((await redis.lindex(key("tasks"), 0)) as string);
  expect(raw).toMatchObject({ body: '[[1, "\\u00e9"], {}, {}]', properties: { body_encoding: null } });
  const { deliveries } = await consume(broker, [tasks]);
  const [delivery] = await eventually(() => deliveries.length === 1 && deliveries);
  expect(Buffer.from(delivery?.message.body ?? "").toString()).toBe('[[1, "\\u00e9"], {}, {}]');
});

it("every key has the prefix, and nothing is left that kombu would not leave", async () => {
  const broker = await open();
  await publishMany(broker, tasks, 5);
  const { deliveries } = await consume(broker, [tasks], {}, (delivery) => delivery.ack());
  await eventually(() => deliveries.length === 5);
  await broker.close();
  expect((await redis.keys(`${prefix}*`)).sort()).toEqual([
    key("_kombu.binding.tasks"),
    key("_kombu.binding_permanent.tasks"),
  ]);
});

it("an idle consumer asks Redis only a few times a second", async () => {
  const broker = await open();
  await consume(broker, [tasks]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const seen: string[] = [];
  const monitor = await redis.duplicate().monitor();
  monitor.on("monitor", (_time, args: string[], source: string) => {
    if (source !== "lua" && args.some((arg) => arg.includes(prefix))) seen.push(args[0] ?? "");
  });
  await new Promise((resolve) => setTimeout(resolve, 4000));
  monitor.disconnect();
  expect(seen.length).toBeLessThan(20);
});

it("an idle consumer gets a message at once, of any priority", async () => {
  const broker = await open();
  const { deliveries } = await consume(broker, [tasks], { prefetch: 0 }, (delivery) => delivery.ack());
  await new Promise((resolve) => setTimeout(resolve, 300));
  const times: number[] = [];
  for (let round = 0; round < 20; round++) {
    const before = performance.now();
    await broker.publish(message({}, { priority: round % 10 }), { exchange: "", routingKey: "tasks" }, 1000);
    await eventually(() => deliveries.length === round + 1);
    times.push(performance.now() - before);
  }
  expect(times.sort((a, b) => a - b)[10]).toBeLessThan(100);
});
