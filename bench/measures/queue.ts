import { connect } from "amqplib";
import { Redis } from "ioredis";
import type { Arena } from "./contest.ts";

/** Empties the queue and drops all results between rounds. The servers are the benchmark's own. */
export async function clear(arena: Arena): Promise<void> {
  const redis = new Redis(arena.backend);
  await redis.flushall();
  redis.disconnect();
  if (arena.kind === "redis") return;
  const connection = await connect(arena.broker);
  const channel = await connection.createChannel();
  await channel.assertQueue(arena.queue, { durable: true });
  await channel.purgeQueue(arena.queue);
  await connection.close();
}

/**
 * Waits until `count` results are stored. The clock starts when a twentieth is there, so that starting up is not
 * counted. @returns results a second
 */
export async function resultRate(arena: Arena, count: number): Promise<number> {
  const redis = new Redis(arena.backend);
  const first = Math.ceil(count / 20);
  let start = 0;
  let atStart = 0;
  for (;;) {
    const stored = await storedResults(redis);
    const now = performance.now();
    if (start === 0 && stored >= first) [start, atStart] = [now, stored];
    if (stored >= count) {
      redis.disconnect();
      return (stored - atStart) / ((now - start) / 1000);
    }
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
}

/** Keys in the results' database that come with a life span are results, and nothing else is. */
async function storedResults(redis: Redis): Promise<number> {
  const keyspace = await redis.info("keyspace");
  const counts = [...keyspace.matchAll(/expires=(\d+)/g)].map((match) => Number(match[1]));
  return counts.reduce((sum, n) => sum + n, 0);
}
