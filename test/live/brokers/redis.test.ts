import { inject } from "vitest";
import { RedisBroker } from "../../../src/brokers/redis/redis-broker.ts";
import { exerciseBroker } from "../../exercise/broker.ts";

exerciseBroker({
  name: "Redis",
  make: (options) => new RedisBroker(options),
  urls: () => [inject("redisUrl")],
});
