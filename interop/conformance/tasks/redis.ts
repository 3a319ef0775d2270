import { Redis } from "ioredis";
import { bound, task } from "./app.ts";

const { REDIS_HOST = "localhost", REDIS_PORT = "6379" } = process.env;

/** Where the suite's tasks leave their traces. */
export const redis = new Redis(Number(REDIS_PORT), REDIS_HOST);

export const redisEcho = task("redis_echo", async (message: string | number | Uint8Array, redis_key = "redis-echo") => {
  await redis.rpush(redis_key, message instanceof Uint8Array ? Buffer.from(message) : message);
});

bound("redis_echo_group_id", async (self, _: unknown, redis_key = "redis-group-ids") => {
  await redis.rpush(redis_key, self.request.group ?? "None");
});

task("redis_count", async (redis_key = "redis-count") => void (await redis.incr(redis_key)));

task("errback_old_style", async (request_id: string) => {
  await redis.incr(request_id);
  return request_id;
});

task("errback_new_style", async (request: { id: string }, _exc: Error, _tb: string) => {
  await redis.incr(request.id);
  return request.id;
});

task("errback_old_style_with_args", async (request_id: string, label: string) => {
  await redis.rpush(request_id, label);
});

task("errback_new_style_with_args", async (request: { id: string }, _exc: Error, _tb: string, label: string) => {
  await redis.rpush(request.id, label);
});
