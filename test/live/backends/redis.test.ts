import { inject } from "vitest";
import { RedisBackend } from "../../../src/backends/redis/redis-backend.ts";
import { exerciseBackend } from "../../exercise/backend.ts";

exerciseBackend({
  name: "Redis",
  make: (options) => new RedisBackend(options),
  url: () => inject("redisUrl"),
});
