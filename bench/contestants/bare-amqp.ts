import { randomUUID } from "node:crypto";
import { type ConfirmChannel, connect } from "amqplib";
import { Redis } from "ioredis";
import { answerLines, hundredInFlight, oneByOne } from "../contestant.ts";
import { body, headers, RESULT } from "./bytes.ts";

/** amqplib at its best: a hundred unconfirmed publishes at a time, results pipelined, TCP_NODELAY set. */
const queue = process.env.CELERIAC_TASK_QUEUE ?? "celery";
const backend = new Redis(process.env.CELERY_RESULT_BACKEND ?? "", { enableAutoPipelining: true });
const connection = await connect(process.env.CELERY_BROKER_URL ?? "", { noDelay: true });
const channel: ConfirmChannel = await connection.createConfirmChannel();
const unconfirmed = await connection.createChannel();
await channel.assertQueue(queue, { durable: true });

function options(id: string): object {
  return {
    contentType: "application/json",
    contentEncoding: "utf-8",
    headers: headers(id),
    deliveryMode: 2,
    priority: 0,
    correlationId: id,
  };
}

function publish(): Promise<void> {
  return new Promise((resolve, reject) => {
    channel.publish("", queue, body, options(randomUUID()), (error) => (error ? reject(error) : resolve()));
  });
}

answerLines({
  publish: async (count) => ({ seconds: await hundredInFlight(Number(count), publish) }),
  async publishUnconfirmed(count) {
    const start = performance.now();
    for (let n = 0; n < Number(count); n++) {
      if (!unconfirmed.publish("", queue, body, options(randomUUID()))) {
        await new Promise((resolve) => unconfirmed.once("drain", resolve));
      }
    }
    await unconfirmed.checkQueue(queue);
    return { seconds: (performance.now() - start) / 1000 };
  },
  async fill(count) {
    await hundredInFlight(Number(count), publish);
    return {};
  },
  async work() {
    await unconfirmed.prefetch(128);
    await unconfirmed.consume(queue, (message) => {
      if (!message) return;
      const [[x, y]] = JSON.parse(message.content.toString());
      const key = `celery-task-meta-${message.properties.headers?.id}`;
      const meta = RESULT.replace('"result": 0', `"result": ${x + y}`);
      void backend
        .multi()
        .setex(key, 86400, meta)
        .publish(key, meta)
        .exec()
        .then(() => unconfirmed.ack(message));
    });
    return {};
  },
  async roundTrip(count) {
    const subscriber = new Redis(process.env.CELERY_RESULT_BACKEND ?? "");
    let arrived: (() => void) | undefined;
    subscriber.on("pmessage", () => arrived?.());
    await subscriber.psubscribe("celery-task-meta-*");
    const milliseconds = await oneByOne(Number(count), async () => {
      const result = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      await publish();
      await result;
    });
    subscriber.disconnect();
    return { milliseconds };
  },
});
process.once("SIGTERM", () => process.exit());
