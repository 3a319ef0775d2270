import { randomUUID } from "node:crypto";
import { afterAll, describe, expect, inject, it } from "vitest";
import { RpcBackend } from "../../../src/backends/rpc.ts";
import { AmqpBroker } from "../../../src/brokers/amqp/amqp-broker.ts";
import type { Broker } from "../../../src/brokers/broker.ts";
import { RedisBroker } from "../../../src/brokers/redis/redis-broker.ts";
import { backendOptions, exerciseBackend, record } from "../../exercise/backend.ts";
import { brokerOptions } from "../../exercise/broker.ts";

const kinds = [
  { over: "RabbitMQ", make: AmqpBroker, url: () => inject("amqpUrl") },
  { over: "Redis", make: RedisBroker, url: () => inject("redisUrl") },
];

for (const { over, make, url } of kinds) {
  let opened: Promise<Broker> | undefined;
  const broker = (): Promise<Broker> => {
    opened ??= (async () => {
      const made = new make(brokerOptions({ urls: () => [url()] }));
      await made.connect();
      return made;
    })();
    return opened;
  };
  afterAll(async () => (await opened)?.close());

  exerciseBackend({
    name: `rpc over ${over}`,
    make: (options) => new RpcBackend(options),
    url: () => "rpc://",
    broker,
    replyTo: (backend) => backend.replyTo ?? null,
    lacks: {
      readers: "results go to the sender of the task alone",
      groups: "there is nothing to keep them in",
      finality: "whatever comes is passed on",
    },
  });

  describe(`rpc over ${over}`, () => {
    it("refuses groups, and says what to use", async () => {
      const backend = new RpcBackend(backendOptions({ url: () => "rpc://", broker }));
      await expect(backend.restoreGroup()).rejects.toThrow("Use Redis for groups");
      await backend.close();
    });
  });
}

describe.skipIf(!inject("amqpUrl"))("the reply queue of rpc (needs RabbitMQ)", () => {
  // Celery 5.7 declares it durable, those before do not; x-expires is a setting.
  it.each([
    ["durable", "transient", true, 60],
    ["transient", "durable", false, 120],
  ])("is used as it is, when it is %s where another version made it %s", async (_, __, durable, expires) => {
    const connected = async (): Promise<Broker> => {
      const made = new AmqpBroker(brokerOptions({ urls: () => [inject("amqpUrl")] }));
      await made.connect();
      return made;
    };
    const [theirs, ours] = await Promise.all([connected(), connected()]);
    const common = { ...backendOptions({ url: () => "rpc://" }), replyTo: randomUUID() };
    const before = new RpcBackend({ ...common, broker: async () => theirs, replyQueueDurable: !durable });
    const after = new RpcBackend({ ...common, broker: async () => ours, replyQueueDurable: durable, expires });
    await before.prepare();
    await after.prepare();
    // Two consumers take turns: the other one leaves, and the queue stays.
    await before.close();
    const id = randomUUID();
    const waiting = after.wait(id, AbortSignal.timeout(20_000));
    await after.storeResult(record(id, "SUCCESS", 5), { replyTo: common.replyTo, correlationId: id });
    expect((await waiting).result).toBe(5);
    await after.close();
    await Promise.all([theirs.close(), ours.close()]);
  });
});
