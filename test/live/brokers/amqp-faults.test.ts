import { randomUUID } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { createServer, type Socket, type Server as TcpServer } from "node:net";
import { type ChannelModel, connect } from "amqplib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { exchange, type Queue, queue } from "../../../protocol/transport/entities.ts";
import { AmqpBroker } from "../../../src/brokers/amqp/amqp-broker.ts";
import type { BrokerOptions } from "../../../src/brokers/broker.ts";
import { OperationalError } from "../../../src/index.ts";
import { brokerOptions, consume, message, publishMany } from "../../exercise/broker.ts";
import { freePort } from "../../servers/free-port.ts";
import { startProxy, type TcpProxy } from "../../servers/proxy.ts";
import { type RabbitServer, startRabbit } from "../../servers/rabbitmq.ts";
import { collectingLogger, type LogLine } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

/** Classes and methods of AMQP as they stand on the wire. */
const CHANNEL_OPEN = [0, 20, 0, 10];
const CHANNEL_OPEN_OK = [0, 20, 0, 11];
const CONFIRM = [0, 60, 0, 80];
const CONSUME = [0, 60, 0, 20];

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

function to({ name }: Queue): { exchange: string; routingKey: string } {
  return { exchange: "", routingKey: name };
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

async function deleteElsewhere({ name }: Queue): Promise<void> {
  const channel = await other.createChannel();
  await channel.deleteQueue(name);
  await channel.close();
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

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

describe("consuming what cannot be consumed", () => {
  it("rejects, and does not begin later behind the caller's back", async () => {
    const channel = await other.createChannel();
    await declareElsewhere(tasks, { durable: true });
    const { consumerTag } = await channel.consume(tasks.name, () => undefined, { exclusive: true });
    const broker = await open();
    const error = await caught(consume(broker, [tasks]));
    expect(error).toBeInstanceOf(OperationalError);
    expect(error.message).toMatch(/ACCESS_REFUSED.*exclusive/);
    await channel.cancel(consumerTag);
    await publishMany(broker, tasks, 1);
    await pause(700);
    expect(await waiting(tasks)).toBe(1);
  });

  it("rejects for a queue that somebody else declares and that is not there", async () => {
    const broker = await open();
    const error = await caught(consume(broker, [{ ...tasks, noDeclare: true }]));
    expect(error).toBeInstanceOf(OperationalError);
    expect(error.message).toMatch(/NOT_FOUND.*no queue/);
  });
});

describe("a queue that is deleted while it is consumed", () => {
  it("is declared anew and consumed again", async () => {
    const broker = await open();
    const { deliveries } = await consume(broker, [tasks], {}, (delivery) => delivery.ack());
    await publishMany(broker, tasks, 1);
    await eventually(() => deliveries.length === 1);
    await deleteElsewhere(tasks);
    await eventually(() => logged(`cancelled the consumer of queue ${tasks.name}`).length === 1);
    await eventually(async () => {
      await broker.publish(message({}), to(tasks), TIMEOUT_MS);
      return deliveries.length > 1;
    });
    expect(deliveries.at(-1)?.queue).toBe(tasks.name);
  });

  it("and declared by somebody else holds up no other queue, and is consumed when it is back", async () => {
    const foreign = queue(`${tasks.name}-foreign`, { exchange: exchange(""), noDeclare: true });
    await declareElsewhere(foreign, { durable: true });
    const broker = await open();
    const { deliveries } = await consume(broker, [tasks, foreign], { prefetch: 2 }, (delivery) => delivery.ack());
    await deleteElsewhere(foreign);
    await eventually(() => logged(foreign.name).length > 0);
    for (let number = 0; number < 100; number++) {
      await broker.publish(message({ number }), to(tasks), TIMEOUT_MS);
      await pause(10);
    }
    await eventually(() => deliveries.length === 100);
    expect(deliveries.some((delivery) => delivery.redelivered)).toBe(false);
    expect(logged("NOT_FOUND").length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThan(12);
    await declareElsewhere(foreign, { durable: true });
    await broker.publish(message({ number: -1 }), to(foreign), TIMEOUT_MS);
    await eventually(() => deliveries.some((delivery) => delivery.queue === foreign.name));
    await eventually(async () => (await waiting(tasks)) === 0);
  });
});

describe("a quorum queue", () => {
  const quorum = { durable: true, arguments: { "x-queue-type": "quorum" } };
  const kinds: [how: string, make: () => Promise<Queue>][] = [
    ["that the settings name", async () => ({ ...tasks, arguments: { "x-queue-type": "quorum" } })],
    [
      "that the settings take for another",
      async () => {
        await declareElsewhere(tasks, quorum);
        return tasks;
      },
    ],
    [
      "that somebody else declares",
      async () => {
        await declareElsewhere(tasks, quorum);
        return { ...tasks, exchange: exchange(""), noDeclare: true };
      },
    ],
  ];

  it.each(kinds)("%s is consumed within its prefetch, which may change", async (_, prepare) => {
    const found = await prepare();
    const broker = await open();
    const { deliveries, consumer } = await consume(broker, [found], { prefetch: 3 });
    for (let number = 0; number < 12; number++) await broker.publish(message({ number }), to(found), TIMEOUT_MS);
    await eventually(() => deliveries.length === 3);
    await pause(200);
    expect(deliveries).toHaveLength(3);
    for (const delivery of deliveries.slice(0, 3)) delivery.ack();
    await eventually(() => deliveries.length === 6);
    consumer.setPrefetch(5);
    await eventually(() => deliveries.length >= 8);
    for (const delivery of [...deliveries]) delivery.ack();
    await eventually(() => deliveries.length === 12);
    for (const delivery of deliveries) delivery.ack();
    await consumer.close();
    expect(await waiting(found)).toBe(0);
    expect(lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("and a classic one are served by one consumer, also when the quorum queue is added later", async () => {
    const classic = queue(`${tasks.name}-classic`);
    const found = { ...tasks, arguments: { "x-queue-type": "quorum" } };
    const broker = await open();
    const { deliveries, consumer } = await consume(broker, [classic], { prefetch: 2 });
    await publishMany(broker, classic, 4);
    await eventually(() => deliveries.length === 2);
    await consumer.addQueue(found);
    await publishMany(broker, found, 4);
    await eventually(() => deliveries.filter((delivery) => delivery.queue === found.name).length === 2);
    for (let settled = 0; settled < 8; settled++) {
      await eventually(() => deliveries.length > settled);
      deliveries[settled]?.ack();
    }
    await consumer.close();
    expect([await waiting(classic), await waiting(found)]).toEqual([0, 0]);
  });
});

describe("a connection that breaks", () => {
  it("by the operator's hand comes back, consuming with its prefetch", async () => {
    const broker = await open();
    const states: boolean[] = [];
    broker.onStateChange = (connected) => void states.push(connected);
    const { deliveries, consumer } = await consume(broker, [tasks], { prefetch: 3 });
    await publishMany(broker, tasks, 10);
    await eventually(() => deliveries.length === 3);
    await server.ctl("close_all_connections", "the operator wants it");
    other = await connect(server.url);
    await eventually(() => deliveries.length === 6);
    await pause(300);
    expect(deliveries).toHaveLength(6);
    expect(consumer.unsettled).toBe(3);
    expect(deliveries.slice(3).every((delivery) => delivery.redelivered)).toBe(true);
    expect(states).toEqual([false, true]);
    // What came by the old connection is the broker's again: settling it must not touch the new one.
    for (const delivery of deliveries.slice(0, 3)) delivery.ack();
    await pause(100);
    expect(consumer.unsettled).toBe(3);
    consumer.setPrefetch(0);
    await eventually(() => deliveries.length === 13);
    for (const delivery of deliveries) delivery.ack();
    await consumer.close();
    expect(await waiting(tasks)).toBe(0);
  });

  it("while many publish loses nothing that was confirmed, and each of the others is told", async () => {
    const broker = await open();
    await broker.declare(tasks);
    const confirmed: number[] = [];
    const errors: Error[] = [];
    const sending: Promise<void>[] = [];
    for (let number = 0; number < 2000; number++) {
      const sent = broker.publish(message({ number }), to(tasks), TIMEOUT_MS);
      sending.push(
        sent.then(
          () => void confirmed.push(number),
          (error: Error) => void errors.push(error),
        ),
      );
      if (number % 500 === 250) proxy.cut();
      if (number % 20 === 0) await pause(1);
    }
    await Promise.all(sending);
    expect(errors.length).toBeGreaterThan(0);
    expect(errors.filter((error) => !(error instanceof OperationalError))).toEqual([]);
    expect(errors[0]?.message).toContain(`publishing to ${tasks.name}`);
    const { deliveries } = await consume(await open(), [tasks], { prefetch: 0 }, (delivery) => delivery.ack());
    await eventually(async () => (await waiting(tasks)) === 0 && deliveries.length >= confirmed.length);
    const arrived = new Set(deliveries.map((delivery) => delivery.message.headers.number));
    expect(confirmed.filter((number) => !arrived.has(number))).toEqual([]);
  });

  it("while the confirmation is on its way fails that publish, and the next one works", async () => {
    const broker = await open();
    await broker.declare(tasks);
    await broker.publish(message({ number: 0 }), to(tasks), TIMEOUT_MS);
    proxy.cutAt("server", CONFIRM);
    const error = await caught(broker.publish(message({ number: 1 }), to(tasks), TIMEOUT_MS));
    expect(error).toBeInstanceOf(OperationalError);
    await broker.publish(message({ number: 2 }), to(tasks), TIMEOUT_MS);
  });

  it("while a channel opens fails with an OperationalError, and the next publish works", async () => {
    const broker = await open();
    proxy.cutAt("client", CHANNEL_OPEN);
    const error = await caught(broker.publish(message({}), to(tasks), TIMEOUT_MS));
    expect(error).toBeInstanceOf(OperationalError);
    await broker.declare(tasks);
    await broker.publish(message({}), to(tasks), TIMEOUT_MS);
    expect(await waiting(tasks)).toBe(1);
  });

  it("while consuming begins either consumes or rejects for good", async () => {
    const broker = await open();
    await broker.declare(tasks);
    proxy.cutAt("client", CONSUME);
    const begun = await consume(broker, [tasks]).catch((error: Error) => error);
    await publishMany(broker, tasks, 1);
    if (begun instanceof Error) {
      expect(begun).toBeInstanceOf(OperationalError);
      await pause(500);
      expect(await waiting(tasks)).toBe(1);
    } else {
      await eventually(() => begun.deliveries.length === 1);
    }
  });

  it("as soon as it is open is not opened again without a pause", async () => {
    const broker = await open();
    await consume(broker, [tasks]);
    const before = proxy.taken;
    proxy.cutAt("server", CHANNEL_OPEN_OK, Number.POSITIVE_INFINITY);
    proxy.cut();
    await pause(2000);
    proxy.cutAt("server", CHANNEL_OPEN_OK, 0);
    expect(proxy.taken - before).toBeLessThan(8);
    await eventually(() => broker.connected, 5000);
  });

  it("without a word is noticed by its heartbeats, and leaves no socket behind", async () => {
    const far = await startProxy(server.port);
    const opened: Socket[] = [];
    const onSocket = (made: unknown): void => {
      const { socket } = made as { socket: Socket };
      socket.once("connect", () => socket.remotePort === far.port && opened.push(socket));
    };
    subscribe("net.client.socket", onSocket);
    const broker = await open({ urls: [through(far)], heartbeat: 1 });
    const { deliveries } = await consume(broker, [tasks], {}, (delivery) => delivery.ack());
    far.freeze();
    await eventually(() => !broker.connected, 5000);
    await pause(100);
    // The second is the attempt to connect that is under way.
    expect(opened.map((socket) => socket.destroyed)).toEqual([true, false]);
    unsubscribe("net.client.socket", onSocket);
    far.thaw();
    await eventually(() => broker.connected, 5000);
    await publishMany(broker, tasks, 1);
    await eventually(() => deliveries.length === 1);
  });

  it("without a word holds up nobody who closes", async () => {
    const broker = await open({ connectionTimeout: 0.5 });
    const [one, two] = [await consume(broker, [tasks]), await consume(broker, [tasks])];
    await one.consumer.cancel();
    proxy.freeze();
    const before = Date.now();
    await Promise.all([one.consumer.close(), two.consumer.close()]);
    await broker.close(500);
    expect(Date.now() - before).toBeLessThan(2500);
    proxy.thaw();
  });

  it("on one side only: its own queue is consumed again once the broker has noticed too", async () => {
    const own = queue(`${tasks.name}-own`, { exclusive: true, durable: false });
    const broker = await open();
    const { deliveries } = await consume(broker, [own], { noAck: true });
    const cutServer = proxy.cutClients();
    await eventually(() => logged("RESOURCE_LOCKED").length > 0);
    cutServer();
    await eventually(async () => {
      await broker.publish(message({}), to(own), TIMEOUT_MS).catch(() => undefined);
      return deliveries.length > 0;
    });
  });

  it("for good: publishing and consuming reject within their time, and say why", async () => {
    const far = await startProxy(server.port);
    const broker = await open({ urls: [through(far)], connectionTimeout: 1 });
    await far.refuse();
    await eventually(() => !broker.connected);
    const attempts = [() => broker.publish(message({}), to(tasks), 800), () => consume(broker, [tasks])];
    for (const attempt of attempts) {
      const error = await caught(attempt());
      expect(error).toBeInstanceOf(OperationalError);
      expect(error.message).toContain(`amqp://guest:**@127.0.0.1:${far.port}`);
      expect(error.message).toContain("ECONNREFUSED");
    }
    const aborted = await caught(broker.connect(AbortSignal.timeout(300)));
    expect(aborted).toBeInstanceOf(OperationalError);
    expect(aborted.message).toContain("ECONNREFUSED");
  });
});

describe("a server that restarts", () => {
  it("is found again within seconds: consumed with its prefetch, published to, and nothing is lost", async () => {
    const broker = await open();
    const publisher = await open();
    const { deliveries, consumer } = await consume(broker, [tasks], { prefetch: 3 });
    await publishMany(publisher, tasks, 10);
    await eventually(() => deliveries.length === 3);
    await server.kill();
    await eventually(() => !publisher.connected);
    const sending = publisher.publish(message({ number: 10 }), to(tasks), 20_000);
    await server.start();
    const back = Date.now();
    await sending;
    await eventually(() => deliveries.length === 6);
    expect(Date.now() - back).toBeLessThan(5000);
    await pause(300);
    expect(deliveries).toHaveLength(6);
    consumer.setPrefetch(0);
    await eventually(() => deliveries.length === 3 + 11);
    expect(new Set(deliveries.map((delivery) => delivery.message.headers.number)).size).toBe(11);
  });
});

describe("several brokers", () => {
  const VHOST = "elsewhere";
  beforeAll(async () => {
    await server.ctl("add_vhost", VHOST);
    await server.ctl("set_permissions", "-p", VHOST, "guest", ".*", ".*", ".*");
  });

  it("are tried in turn until one answers", async () => {
    const closed = await freePort();
    const broker = await open({ urls: [through({ port: closed }), through(server)] });
    expect(broker.url).toContain(String(server.port));
  });

  it("at random as well", async () => {
    const closed = await freePort();
    const urls = [through({ port: closed }), through(server)];
    for (let round = 0; round < 4; round++) await open({ urls, failoverStrategy: "shuffle" });
  });

  it("that all stay away are all named", async () => {
    const [one, two] = [await freePort(), await freePort()];
    const error = await caught(open({ urls: [through({ port: one }), through({ port: two })] }));
    expect(error).toBeInstanceOf(OperationalError);
    expect(error.message).toMatch(new RegExp(`:${one}/.*ECONNREFUSED.*:${two}/.*ECONNREFUSED`));
  });

  it("take over from one another: the next one has the queue before it is published to", async () => {
    for (let round = 0; round < 5; round++) {
      const near = await startProxy(server.port);
      const name = queue(`${tasks.name}-${round}`);
      const broker = await open({ urls: [through(near), through(server, VHOST)] });
      await broker.declare(name);
      await near.refuse();
      await new Promise<void>((resolve) => {
        broker.onStateChange = (connected) => connected && resolve();
      });
      await broker.publish(message({}), to(name), TIMEOUT_MS);
      expect(broker.url).toContain(VHOST);
      expect(await broker.size(name.name)).toBe(1);
    }
  });

  it("take over with the consumers", async () => {
    const near = await startProxy(server.port);
    const broker = await open({ urls: [through(near), through(server, VHOST)] });
    const { deliveries } = await consume(broker, [tasks], { prefetch: 1 }, (delivery) => delivery.ack());
    await near.refuse();
    await eventually(() => broker.connected && broker.url.includes(VHOST));
    await publishMany(await open({ urls: [through(server, VHOST)] }), tasks, 3);
    await eventually(() => deliveries.length === 3);
  });
});

describe("a broker in need of memory", () => {
  afterAll(() => server.ctl("set_vm_memory_high_watermark", "0.4"));

  it("makes publishing and declaring fail in time and say so, delivers, closes, and works again", async () => {
    const [broker, reader] = [await open({ connectionTimeout: 1 }), await open()];
    await publishMany(broker, tasks, 3);
    await server.ctl("set_vm_memory_high_watermark", "0.0000001");
    const before = Date.now();
    const error = await caught(broker.publish(message({}), to(tasks), 700));
    expect(Date.now() - before).toBeLessThan(1500);
    expect(error).toBeInstanceOf(OperationalError);
    expect(error.message).toMatch(/publishing to faults-.*takes no messages at present \(low on memory\)/);
    const declaring = await caught(broker.declare(queue(`${tasks.name}-more`)));
    expect(declaring).toBeInstanceOf(OperationalError);
    expect(declaring.message).toContain("low on memory");
    const { deliveries } = await consume(reader, [tasks], {}, (delivery) => delivery.ack());
    await eventually(() => deliveries.length === 3);
    const closing = await open();
    await caught(closing.publish(message({}), to(tasks), 300));
    const closed = Date.now();
    await closing.close(1000);
    expect(Date.now() - closed).toBeLessThan(2500);
    await server.ctl("set_vm_memory_high_watermark", "0.4");
    await eventually(() =>
      broker.publish(message({ number: 9 }), to(tasks), 1000).then(
        () => true,
        () => false,
      ),
    );
    await eventually(() => deliveries.some((delivery) => delivery.message.headers.number === 9));
    await broker.declare(queue(`${tasks.name}-more`));
  });
});

describe("a message that the broker refuses", () => {
  it("since there is no such exchange, is said to be, and the next one is taken", async () => {
    const broker = await open();
    await broker.declare(tasks);
    const lost = broker.publish(message({}), { exchange: "nowhere", routingKey: "x" }, TIMEOUT_MS);
    const error = await caught(lost);
    expect(error).toBeInstanceOf(OperationalError);
    expect(error.message).toMatch(/publishing to nowhere: .*NOT_FOUND.*no exchange 'nowhere'/);
    await broker.publish(message({}), to(tasks), TIMEOUT_MS);
  });

  it("since its queue is full, is said to be", async () => {
    const full = { ...tasks, arguments: { "x-max-length": 1, "x-overflow": "reject-publish" } };
    const broker = await open();
    await publishMany(broker, full, 1);
    const error = await caught(broker.publish(message({}), to(full), TIMEOUT_MS));
    expect(error).toBeInstanceOf(OperationalError);
    expect(error.message).toContain(`publishing to ${tasks.name}`);
    expect(error.message).toMatch(/refused/);
  });

  it("since it is too large, is said to be, and the next one is taken", async () => {
    const broker = await open();
    await broker.declare(tasks);
    const error = await caught(
      broker.publish({ ...message({}), body: Buffer.alloc(1_100_000) }, to(tasks), TIMEOUT_MS),
    );
    expect(error).toBeInstanceOf(OperationalError);
    expect(error.message).toMatch(/PRECONDITION_FAILED.*larger than/);
    await broker.publish(message({}), to(tasks), TIMEOUT_MS);
  });
});

describe("connecting", () => {
  const mute: TcpServer = createServer((socket) => void socket.on("error", () => undefined).resume());
  const web: TcpServer = createServer((socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  const shut: TcpServer = createServer((socket) => void socket.destroy());

  beforeAll(async () => {
    for (const each of [mute, web, shut]) await new Promise<void>((resolve) => each.listen(0, "127.0.0.1", resolve));
  });

  afterAll(() => {
    for (const each of [mute, web, shut]) each.close();
  });

  const portOf = (listening: TcpServer): number => (listening.address() as { port: number }).port;
  const failures: [what: string, url: () => string | Promise<string>, text: RegExp][] = [
    [
      "with a wrong password",
      () => `amqp://guest:s3cret@127.0.0.1:${server.port}//`,
      /Cannot connect to amqp:\/\/guest:\*\*@.*ACCESS_REFUSED.*does not accept this user and password/,
    ],
    [
      "with a user that nobody knows",
      () => `amqp://nobody:s3cret@127.0.0.1:${server.port}//`,
      /amqp:\/\/nobody:\*\*@.*ACCESS_REFUSED/,
    ],
    [
      "to a virtual host that is not there",
      () => `amqp://guest:guest@127.0.0.1:${server.port}/nowhere`,
      /the virtual host "nowhere" does not exist/,
    ],
    [
      "to a port where nobody listens",
      async () => `amqp://guest:s3cret@127.0.0.1:${await freePort()}//`,
      /ECONNREFUSED/,
    ],
    ["to a host that nobody knows", () => "amqp://guest:s3cret@nowhere.invalid//", /ENOTFOUND|EAI_AGAIN/],
    ["to what speaks another language", () => `amqp://guest:s3cret@127.0.0.1:${portOf(web)}//`, /speaks no AMQP/],
    ["to what hangs up", () => `amqp://guest:s3cret@127.0.0.1:${portOf(shut)}//`, /speaks no AMQP, or wants TLS/],
    ["to what says nothing", () => `amqp://guest:s3cret@127.0.0.1:${portOf(mute)}//`, /no answer within 1 s/],
    ["with TLS to what says nothing", () => `amqps://guest:s3cret@127.0.0.1:${portOf(mute)}//`, /no answer within 1 s/],
    ["with TLS to a port without", () => `amqps://guest:s3cret@127.0.0.1:${server.port}//`, /speaks no TLS/],
  ];

  it.each(failures)("%s is an OperationalError that says so in a line", async (_, url, text) => {
    const before = Date.now();
    const error = await caught(open({ urls: [await url()], connectionTimeout: 1 }));
    expect(error).toBeInstanceOf(OperationalError);
    expect(error.message).toMatch(text);
    expect(error.message).not.toMatch(/\n|s3cret|\.js:|<Connection/);
    expect(Date.now() - before).toBeLessThan(2500);
  });

  it.each(["amqp", "amqps"])("by %s is given up at once when the broker is closed", async (scheme) => {
    const broker = make({ urls: [`${scheme}://127.0.0.1:${portOf(mute)}//`] });
    const taken = new Promise<Socket>((resolve) => mute.once("connection", resolve));
    const connecting = caught(broker.connect());
    const ended = once(await taken, "close");
    const before = Date.now();
    await broker.close();
    await ended;
    expect(Date.now() - before).toBeLessThan(500);
    expect((await connecting).message).toContain("the connection was closed");
  });

  it("works once what was wrong is mended, on the same broker", async () => {
    const far = await startProxy(server.port);
    await far.refuse();
    const broker = make({ urls: [through(far)] });
    await expect(broker.connect()).rejects.toThrow(/ECONNREFUSED/);
    await far.accept();
    await broker.connect();
    await publishMany(broker, tasks, 1);
  });
});
