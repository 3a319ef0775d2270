import type { TestProject } from "vitest/node";
import { canStartRabbit, startRabbit } from "./servers/rabbitmq.ts";
import { startRedis } from "./servers/redis.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** URL of a Redis to test against, its database to be shared with care. */
    redisUrl: string;
    /** URL of a RabbitMQ; empty where there is none. */
    amqpUrl: string;
  }
}

/** Finds servers by CELERIAC_TEST_REDIS_URL and CELERIAC_TEST_AMQP_URL, or starts private ones. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started: { stop(): Promise<void> }[] = [];
  const redisUrl = process.env.CELERIAC_TEST_REDIS_URL ?? (await startOne(startRedis, started));
  const amqpUrl = process.env.CELERIAC_TEST_AMQP_URL ?? (canStartRabbit() ? await startOne(startRabbit, started) : "");
  project.provide("redisUrl", redisUrl);
  project.provide("amqpUrl", amqpUrl);
  return async () => {
    await Promise.all(started.map((server) => server.stop()));
  };
}

async function startOne<S extends { url: string; stop(): Promise<void> }>(
  start: () => Promise<S>,
  started: { stop(): Promise<void> }[],
): Promise<string> {
  const server = await start();
  started.push(server);
  return server.url;
}
