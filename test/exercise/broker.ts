import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Message } from "../../protocol/message/message.ts";
import { exchange, type Queue, queue } from "../../protocol/transport/entities.ts";
import type { Broker, BrokerOptions, ConsumeOptions, Consumer, Delivery } from "../../src/brokers/broker.ts";
import { SILENT } from "../../src/logger.ts";
import { eventually } from "../support/eventually.ts";
import { itUnless } from "../support/it-unless.ts";

/** What a broker under exercise is made from. */
export interface BrokerUnderTest {
  name: string;
  /** Another connection to the same broker with each call. */
  make(options: BrokerOptions): Broker | Promise<Broker>;
  urls(): string[];
  transportOptions?(): Record<string, unknown>;
  /** What this transport cannot do, each with the reason. */
  lacks?: { priorities?: string; requeueAtEnd?: string };
}

/** Publishing in the exercise may take this long, in milliseconds. */
const TIMEOUT_MS = 5000;

/** What every broker must do, whatever it is made of. */
export function exerciseBroker(subject: BrokerUnderTest): void {
  describe(`${subject.name} as a broker`, () => {
    let brokers: Broker[];
    let tasks: Queue;

    async function open(): Promise<Broker> {
      const broker = await subject.make(brokerOptions(subject));
      brokers.push(broker);
      await broker.connect();
      return broker;
    }

    beforeEach(() => {
      brokers = [];
      tasks = queue(`exercise-${randomUUID()}`);
    });

    afterEach(async () => {
      const [last] = brokers.slice(-1);
      await last?.deleteQueue(tasks).catch(() => undefined);
      await Promise.all(brokers.map((broker) => broker.close()));
    });

    it("delivers what was published, unchanged", async () => {
      const broker = await open();
      const sent = message({ text: "grüße", number: 1.5, nothing: null, list: [1, "a"], yes: true });
      await broker.declare(tasks);
      await broker.publish(sent, { exchange: "", routingKey: tasks.name }, TIMEOUT_MS);
      const { deliveries } = await consume(broker, [tasks]);
      const [delivery] = await eventually(() => atLeast(deliveries, 1));
      expect(Buffer.from(delivery.message.body).toString()).toBe(Buffer.from(sent.body).toString());
      expect(delivery.message.contentType).toBe("application/json");
      expect(delivery.message.contentEncoding).toBe("utf-8");
      expect(delivery.message.headers).toMatchObject(sent.headers);
      expect(delivery.message.properties).toMatchObject({ correlation_id: "the-id", reply_to: "me" });
      expect(delivery.queue).toBe(tasks.name);
      expect(delivery.redelivered).toBe(false);
    });

    it("keeps the order of what one sender publishes", async () => {
      const broker = await open();
      await broker.declare(tasks);
      const numbers = Array.from({ length: 300 }, (_, number) => number);
      const { deliveries } = await consume(broker, [tasks], { prefetch: 10 }, (delivery) => delivery.ack());
      await Promise.all(numbers.map((number) => broker.publish(message({ number }), to(tasks), TIMEOUT_MS)));
      await eventually(() => atLeast(deliveries, numbers.length));
      expect(deliveries.map((delivery) => delivery.message.headers.number)).toEqual(numbers);
    });

    it("has no more deliveries unsettled than the prefetch allows", async () => {
      const broker = await open();
      await broker.declare(tasks);
      await publishMany(broker, tasks, 10);
      const { deliveries, consumer } = await consume(broker, [tasks], { prefetch: 3 });
      await eventually(() => atLeast(deliveries, 3));
      await pause(200);
      expect(deliveries).toHaveLength(3);
      expect(consumer.unsettled).toBe(3);
      deliveries[0]?.ack();
      deliveries[1]?.ack();
      deliveries[2]?.ack();
      await eventually(() => atLeast(deliveries, 6));
      await pause(200);
      expect(deliveries).toHaveLength(6);
    });

    it("fills one place that is free, however long the others stay taken", async () => {
      const broker = await open();
      await broker.declare(tasks);
      await publishMany(broker, tasks, 20);
      const { deliveries, consumer } = await consume(broker, [tasks], { prefetch: 8 });
      await eventually(() => atLeast(deliveries, 8));
      deliveries[3]?.ack();
      await eventually(() => atLeast(deliveries, 9));
      // A task for later stays in hand, and gives its place to one that can run now.
      consumer.setPrefetch(9);
      await eventually(() => atLeast(deliveries, 10));
      expect(consumer.unsettled).toBe(9);
    });

    it("delivers more when the prefetch grows while it runs", async () => {
      const broker = await open();
      await broker.declare(tasks);
      await publishMany(broker, tasks, 10);
      const { deliveries, consumer } = await consume(broker, [tasks], { prefetch: 1 });
      await eventually(() => atLeast(deliveries, 1));
      consumer.setPrefetch(4);
      await eventually(() => atLeast(deliveries, 4));
      await pause(200);
      expect(deliveries).toHaveLength(4);
    });

    it("forgets what was acknowledged", async () => {
      const broker = await open();
      await broker.declare(tasks);
      await publishMany(broker, tasks, 3);
      const first = await consume(broker, [tasks], { prefetch: 10 }, (delivery) => delivery.ack());
      await eventually(() => atLeast(first.deliveries, 3));
      await first.consumer.close();
      expect(await broker.size(tasks.name)).toBe(0);
    });

    it("puts back what was rejected with requeue, marked as redelivered", async () => {
      const broker = await open();
      await broker.declare(tasks);
      await publishMany(broker, tasks, 1);
      let rejected = false;
      const { deliveries } = await consume(broker, [tasks], { prefetch: 1 }, (delivery) => {
        if (rejected) delivery.ack();
        else delivery.reject({ requeue: true });
        rejected = true;
      });
      await eventually(() => atLeast(deliveries, 2));
      expect(deliveries.map((delivery) => delivery.redelivered)).toEqual([false, true]);
      expect(deliveries[1]?.message.headers).toMatchObject({ number: 0 });
    });

    it("drops what was rejected without requeue", async () => {
      const broker = await open();
      await broker.declare(tasks);
      await publishMany(broker, tasks, 2);
      const { deliveries, consumer } = await consume(broker, [tasks], { prefetch: 5 }, (delivery) =>
        delivery.reject({ requeue: false }),
      );
      await eventually(() => atLeast(deliveries, 2));
      await consumer.close();
      expect(await broker.size(tasks.name)).toBe(0);
    });

    it("hands back what was not settled when the consumer closes, to be served next", async () => {
      const broker = await open();
      await broker.declare(tasks);
      await publishMany(broker, tasks, 5);
      const first = await consume(broker, [tasks], { prefetch: 3 });
      await eventually(() => atLeast(first.deliveries, 3));
      first.deliveries[0]?.ack();
      await eventually(() => atLeast(first.deliveries, 4));
      await first.consumer.close();
      const second = await consume(await open(), [tasks], { prefetch: 10 }, (delivery) => delivery.ack());
      await eventually(() => atLeast(second.deliveries, 4));
      const numbers = second.deliveries.map((delivery) => delivery.message.headers.number);
      expect([...numbers].sort()).toEqual([1, 2, 3, 4]);
      expect(numbers.at(-1)).toBe(4);
    });

    it("can still settle after it was cancelled, and takes nothing more", async () => {
      const broker = await open();
      await broker.declare(tasks);
      await publishMany(broker, tasks, 2);
      const { deliveries, consumer } = await consume(broker, [tasks], { prefetch: 1 });
      await eventually(() => atLeast(deliveries, 1));
      await consumer.cancel();
      deliveries[0]?.ack();
      await pause(200);
      expect(deliveries).toHaveLength(1);
      await consumer.close();
      expect(await broker.size(tasks.name)).toBe(1);
    });

    it("shares a queue between consumers without giving a message to both", async () => {
      const [one, two] = [await open(), await open()];
      await one.declare(tasks);
      const ack = (delivery: Delivery): void => delivery.ack();
      const first = await consume(one, [tasks], { prefetch: 2 }, ack);
      const second = await consume(two, [tasks], { prefetch: 2 }, ack);
      await publishMany(one, tasks, 100);
      await eventually(() => first.deliveries.length + second.deliveries.length === 100);
      const numbers = [...first.deliveries, ...second.deliveries].map((delivery) => delivery.message.headers.number);
      expect(new Set(numbers).size).toBe(100);
    });

    it("serves several queues, and one that is added later", async () => {
      const broker = await open();
      const others = [queue(`${tasks.name}-b`), queue(`${tasks.name}-c`)] as const;
      const { deliveries, consumer } = await consume(broker, [tasks, others[0]], { prefetch: 10 }, (delivery) =>
        delivery.ack(),
      );
      await publishMany(broker, tasks, 1);
      await publishMany(broker, others[0], 1);
      await eventually(() => atLeast(deliveries, 2));
      await consumer.addQueue(others[1]);
      await publishMany(broker, others[1], 1);
      await eventually(() => atLeast(deliveries, 3));
      expect(consumer.queues).toEqual([tasks.name, others[0].name, others[1].name]);
      await consumer.cancelQueue(others[0].name);
      await publishMany(broker, others[0], 1);
      await pause(200);
      expect(deliveries).toHaveLength(3);
      await broker.deleteQueue(others[0]);
      await broker.deleteQueue(others[1]);
    });

    it("routes by a topic exchange", async () => {
      const broker = await open();
      const topics = exchange(`${tasks.name}-topics`, { type: "topic" });
      const bound = { ...tasks, exchange: topics, routingKey: "media.*.done" };
      const { deliveries } = await consume(broker, [bound], { prefetch: 5 }, (delivery) => delivery.ack());
      await broker.publish(
        message({ number: 1 }),
        { exchange: topics.name, routingKey: "media.video.done" },
        TIMEOUT_MS,
      );
      await broker.publish(
        message({ number: 2 }),
        { exchange: topics.name, routingKey: "media.video.begun" },
        TIMEOUT_MS,
      );
      await eventually(() => atLeast(deliveries, 1));
      await pause(200);
      expect(deliveries.map((delivery) => delivery.message.headers.number)).toEqual([1]);
      expect(deliveries[0]).toMatchObject({ exchange: topics.name, routingKey: "media.video.done" });
      await broker.deleteQueue(bound);
    });

    it("routes by a direct exchange with a name", async () => {
      const broker = await open();
      const direct = exchange(`${tasks.name}-direct`);
      const bound = { ...tasks, exchange: direct, routingKey: "key" };
      await broker.declare(bound);
      await broker.publish(message({ number: 1 }), { exchange: direct.name, routingKey: "key" }, TIMEOUT_MS);
      await broker.publish(message({ number: 2 }), { exchange: direct.name, routingKey: "other" }, TIMEOUT_MS);
      expect(await eventually(async () => (await broker.size(tasks.name)) === 1)).toBe(true);
      await broker.deleteQueue(bound);
    });

    it("gives a fanout's messages to every queue that listens", async () => {
      const [one, two] = [await open(), await open()];
      const fanout = exchange(`${tasks.name}-fanout`, { type: "fanout", durable: false });
      const mailbox = (name: string): Queue =>
        queue(`${tasks.name}-${name}`, { exchange: fanout, routingKey: "", durable: false, autoDelete: true });
      const first = await consume(one, [mailbox("one")], { noAck: true, prefetch: 0 });
      const second = await consume(two, [mailbox("two")], { noAck: true, prefetch: 0 });
      await one.declareExchange(fanout);
      await one.publish(message({ number: 7 }), { exchange: fanout.name, routingKey: "" }, TIMEOUT_MS);
      await eventually(() => first.deliveries.length === 1 && second.deliveries.length === 1);
      expect(first.deliveries[0]?.message.headers.number).toBe(7);
    });

    it("counts and purges what waits", async () => {
      const broker = await open();
      await broker.declare(tasks);
      await publishMany(broker, tasks, 4);
      expect(await broker.size(tasks.name)).toBe(4);
      expect(await broker.purge(tasks.name)).toBe(4);
      expect(await broker.size(tasks.name)).toBe(0);
      expect(await broker.purge(`${tasks.name}-never`)).toBe(0);
      expect(await broker.size(`${tasks.name}-never`)).toBe(0);
    });

    itUnless(subject.lacks?.priorities)("serves the higher priority first", async () => {
      const broker = await open();
      const prioritised = queue(tasks.name, { arguments: { "x-max-priority": 9 } });
      await broker.declare(prioritised);
      const [low, high] = broker.transport === "redis" ? [9, 0] : [0, 9];
      for (const [number, priority] of [low, low, high].entries()) {
        await broker.publish(message({ number }, { priority }), to(tasks), TIMEOUT_MS);
      }
      const { deliveries } = await consume(broker, [prioritised], { prefetch: 1 }, (delivery) => delivery.ack());
      await eventually(() => atLeast(deliveries, 3));
      expect(deliveries.map((delivery) => delivery.message.headers.number)).toEqual([2, 0, 1]);
    });

    it("carries a message of five megabytes", async () => {
      const broker = await open();
      await broker.declare(tasks);
      const body = Buffer.alloc(5_000_000, "x");
      await broker.publish({ ...message({}), body }, to(tasks), TIMEOUT_MS);
      const { deliveries } = await consume(broker, [tasks]);
      const [delivery] = await eventually(() => atLeast(deliveries, 1));
      expect(Buffer.compare(Buffer.from(delivery.message.body), body)).toBe(0);
    });

    it("closes with a consumer still open, twice if need be, and hands back what it held", async () => {
      const broker = await open();
      await broker.declare(tasks);
      await publishMany(broker, tasks, 2);
      const { deliveries } = await consume(broker, [tasks], { prefetch: 5 });
      await eventually(() => atLeast(deliveries, 2));
      await broker.close();
      await broker.close();
      expect(await (await open()).size(tasks.name)).toBe(2);
    });
  });
}

/** Options for a broker under exercise. */
export function brokerOptions(subject: Pick<BrokerUnderTest, "urls" | "transportOptions">): BrokerOptions {
  return {
    urls: subject.urls(),
    transportOptions: subject.transportOptions?.() ?? {},
    useSsl: false,
    connectionTimeout: 4,
    heartbeat: 10,
    failoverStrategy: "round-robin",
    clientName: "celeriac:exercise",
    log: SILENT,
  };
}

/** A message with these headers of its own. */
export function message(headers: Record<string, unknown>, properties: Record<string, unknown> = {}): Message {
  return {
    headers: { task: "exercise", id: "the-id", ...headers },
    properties: { correlation_id: "the-id", reply_to: "me", delivery_mode: 2, priority: 0, ...properties },
    contentType: "application/json",
    contentEncoding: "utf-8",
    body: Buffer.from('[[1, "\\u00e9"], {}, {}]'),
  };
}

/** Starts consuming, and keeps what comes. */
export async function consume(
  broker: Broker,
  queues: Queue[],
  options: Partial<ConsumeOptions> = {},
  onDelivery: (delivery: Delivery) => void = () => {},
): Promise<{ deliveries: Delivery[]; unreadable: unknown[]; consumer: Consumer }> {
  const deliveries: Delivery[] = [];
  const unreadable: unknown[] = [];
  const consumer = await broker.consume(queues, {
    prefetch: 10,
    onDelivery(delivery) {
      deliveries.push(delivery);
      onDelivery(delivery);
    },
    onUnreadable: (what) => void unreadable.push(what),
    ...options,
  });
  return { deliveries, unreadable, consumer };
}

/** Publishes messages with the header `number`, from 0 up. */
export async function publishMany(broker: Broker, target: Queue, count: number): Promise<void> {
  await broker.declare(target);
  for (let number = 0; number < count; number++) await broker.publish(message({ number }), to(target), TIMEOUT_MS);
}

function to(target: Queue): { exchange: string; routingKey: string } {
  return { exchange: "", routingKey: target.name };
}

function atLeast(deliveries: Delivery[], count: number): (Delivery[] & { 0: Delivery }) | false {
  return deliveries.length >= count ? (deliveries as Delivery[] & { 0: Delivery }) : false;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
