import { randomUUID } from "node:crypto";
import { type ChannelModel, connect } from "amqplib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Queue, queue } from "../../../protocol/transport/entities.ts";
import { AmqpBroker } from "../../../src/brokers/amqp/amqp-broker.ts";
import type { BrokerOptions } from "../../../src/brokers/broker.ts";
import { OperationalError } from "../../../src/index.ts";
import { brokerOptions, consume, message, publishMany } from "../../exercise/broker.ts";
import { startProxy, type TcpProxy } from "../../servers/proxy.ts";
import { type RabbitServer, startRabbit } from "../../servers/rabbitmq.ts";
import { collectingLogger, type LogLine } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

const TIMEOUT_MS = 5000;

let server: RabbitServer;
let proxy: TcpProxy;
let other: ChannelModel;
let lines: LogLine[];
let tasks: Queue;
const brokers: AmqpBroker[] = [];

beforeAll(async () => {
  server = await startRabbit(["max_message_size = 1000000"]);
  proxy = await startProxy(server.port);
});

afterAll(async () => {
  await proxy.refuse();
  await server.stop();
});

beforeEach(async () => {
  lines = [];
  tasks = queue(`faults-${randomUUID()}`);
  other = await connect(server.url);
  other.on("error", () => undefined);
});

afterEach(async () => {
  await Promise.all(brokers.splice(0).map((broker) => broker.close()));
  await other.close().catch(() => undefined);
});

/** Makes a broker to be closed with the test; it goes through the proxy unless told otherwise. */
function make(options: Partial<BrokerOptions> = {}): AmqpBroker {
  const urls = (): string[] => [through(proxy)];
  const broker = new AmqpBroker({ ...brokerOptions({ urls }), log: collectingLogger(lines), ...options });
  brokers.push(broker);
  return broker;
}

async function open(options: Partial<BrokerOptions> = {}): Promise<AmqpBroker> {
  const broker = make(options);
  await broker.connect();
  return broker;
}

function through({ port }: { port: number }, virtualHost = "/"): string {
  return `amqp://guest:guest@127.0.0.1:${port}/${virtualHost}`;
}

function logged(text: string): LogLine[] {
  return lines.filter((line) => line.text.includes(text));
}

/** How many messages wait in a queue, by another connection. */
async function waiting({ name }: Queue): Promise<number> {
  const channel = await other.createChannel();
  channel.on("error", () => undefined);
  const { messageCount } = await channel.checkQueue(name);
  await channel.close();
  return messageCount;
}

/** Declares a queue as somebody else would. */
async function declareElsewhere({ name }: Queue, options: object): Promise<void> {
  const channel = await other.createChannel();
  await channel.assertQueue(name, options);
  await channel.close();
}

const caught = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => Promise.reject(new Error("it did not reject")),
    (error: Error) => error,
  );

describe("a queue that exists otherwise", () => {
  const differences: [argument: string, theirs: object, text: RegExp][] = [
    ["x-max-priority", { durable: true, arguments: { "x-max-priority": 7 } }, /x-max-priority 7, .* say nothing/],
    ["x-message-ttl", { durable: true, arguments: { "x-message-ttl": 90_000 } }, /x-message-ttl 90000, /],
    ["x-queue-mode", { durable: true, arguments: { "x-queue-mode": "lazy" } }, /x-queue-mode lazy, /],
    ["durable", { durable: false }, /durable false, where the settings say true/],
    ["auto_delete", { durable: true, autoDelete: true }, /auto_delete true, where the settings say false/],
  ];

  it.each(differences)("in %s is used as it is, and the log names what differs, once", async (name, theirs, text) => {
    await declareElsewhere(tasks, theirs);
    const broker = await open();
    const { deliveries } = await consume(broker, [tasks], {}, (delivery) => delivery.ack());
    await publishMany(broker, tasks, 2);
    await eventually(() => deliveries.length === 2);
    const said = logged("it is used as it is");
    expect(said).toHaveLength(1);
    expect(said[0]).toMatchObject({ level: "warn", fields: { argument: name } });
    expect(said[0]?.text).toMatch(text);
    expect(said[0]?.text).toContain(tasks.name);
    expect(broker.connected).toBe(true);
  });

  it("has its binding made all the same", async () => {
    await declareElsewhere(tasks, { durable: true, arguments: { "x-max-priority": 7 } });
    const broker = await open();
    await broker.declare(tasks);
    await broker.publish(message({}), { exchange: tasks.exchange.name, routingKey: tasks.routingKey }, TIMEOUT_MS);
    expect(await waiting(tasks)).toBe(1);
  });

  it("in its exchange's type keeps that exchange, and the log says so", async () => {
    const channel = await other.createChannel();
    await channel.assertExchange(tasks.name, "topic");
    const broker = await open();
    await broker.declare(tasks);
    expect(logged(`exchange ${tasks.name}`)[0]?.text).toMatch(/type topic, where the settings say direct/);
    await broker.publish(message({}), { exchange: tasks.name, routingKey: tasks.name }, TIMEOUT_MS);
    expect(await waiting(tasks)).toBe(1);
  });

  it("and is another connection's own cannot be used, and the error says why", async () => {
    const channel = await other.createChannel();
    await channel.assertQueue(tasks.name, { exclusive: true });
    const broker = await open();
    const error = await caught(broker.declare(tasks));
    expect(error).toBeInstanceOf(OperationalError);
    expect(error.message).toMatch(/Cannot declare queue faults-.*RESOURCE_LOCKED/);
    await expect(consume(broker, [tasks])).rejects.toBeInstanceOf(OperationalError);
    await channel.deleteQueue(tasks.name);
    await broker.declare(tasks);
  });
});
