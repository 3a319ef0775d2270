import { randomUUID } from "node:crypto";
import type { GivenSettings } from "../../src/index.ts";
import { canStartRabbit, type RabbitServer, startRabbit } from "../servers/rabbitmq.ts";
import { type RedisServer, startRedis } from "../servers/redis.ts";

/** Seconds until a message on Redis that nobody shows to hold is given to another worker. */
const VISIBILITY_TIMEOUT = 2;

/** Brokers of their own, on which things break. */
export interface Place {
  name: string;
  broker: RedisServer | RabbitServer;
  redis: RedisServer;
  /** @param url another way to the broker, through a proxy for instance */
  settings(url?: string): GivenSettings;
}

/** Names of the places that can be had here. */
export const PLACES: readonly string[] = [
  "Redis",
  ...(canStartRabbit() ? ["RabbitMQ", "RabbitMQ, quorum queues"] : []),
];

export async function openPlace(name: string): Promise<Place> {
  const redis = await startRedis();
  const broker = name === "Redis" ? redis : await startRabbit();
  return {
    name,
    broker,
    redis,
    settings: (url = broker.url) => ({
      brokerUrl: url,
      resultBackend: redis.url,
      taskDefaultQueue: `chaos-${randomUUID().slice(0, 8)}`,
      ...(name === "Redis" && { brokerTransportOptions: { visibility_timeout: VISIBILITY_TIMEOUT } }),
      ...(name.endsWith("quorum queues") && { taskDefaultQueueType: "quorum" }),
    }),
  };
}

export async function closePlace({ broker, redis }: Place): Promise<void> {
  await broker.stop();
  if (broker !== redis) await redis.stop();
}

/** How often a fault is made: a few times in every run, `CELERIAC_CHAOS_ROUNDS` in the long one. */
export function rounds(few: number): number {
  return Number(process.env.CELERIAC_CHAOS_ROUNDS ?? few);
}
