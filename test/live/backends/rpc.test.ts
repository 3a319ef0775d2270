import { afterAll, describe, expect, inject, it } from "vitest";
import { RpcBackend } from "../../../src/backends/rpc.ts";
import { AmqpBroker } from "../../../src/brokers/amqp/amqp-broker.ts";
import type { Broker } from "../../../src/brokers/broker.ts";
import { RedisBroker } from "../../../src/brokers/redis/redis-broker.ts";
import { backendOptions, exerciseBackend } from "../../exercise/backend.ts";
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
