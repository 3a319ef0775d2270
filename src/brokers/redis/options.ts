import { z } from "zod";
import { ImproperlyConfigured } from "../../../protocol/errors.ts";
import { type RedisNameOptions, SEPARATOR } from "../../../protocol/transport/redis.ts";

/** What `brokerTransportOptions` can say about this transport; names, units and defaults are kombu's. */
export interface RedisTransportOptions {
  /** Seconds after which a message that nobody settled is given to somebody else. */
  visibilityTimeout: number;
  /** Seconds between looks for such messages. */
  restoreInterval: number;
  /** `base64`, or null to put bodies in as they are. */
  bodyEncoding: "base64" | null;
  queueOrder: "round_robin" | "sorted" | "priority";
  names: RedisNameOptions;
}

const schema = z.object({
  visibility_timeout: z.number().positive().default(3600),
  unacked_restore_interval: z.number().positive().default(2),
  body_encoding: z.enum(["base64", "utf-8"]).nullable().default("base64"),
  queue_order_strategy: z.enum(["round_robin", "sorted", "priority"]).default("round_robin"),
  sep: z.string().min(1).default(SEPARATOR),
  priority_steps: z.array(z.int().min(0).max(9)).min(1).default([0, 3, 6, 9]),
  global_keyprefix: z.string().default(""),
  unacked_key: z.string().default("unacked"),
  unacked_index_key: z.string().default("unacked_index"),
  unacked_mutex_key: z.string().default("unacked_mutex"),
  fanout_prefix: z.union([z.boolean(), z.string()]).default(true),
  fanout_patterns: z.boolean().default(true),
});

/** @throws ImproperlyConfigured naming the option */
export function redisTransportOptions(given: Readonly<Record<string, unknown>>, db: number): RedisTransportOptions {
  const result = schema.safeParse(given);
  if (!result.success) {
    const problems = result.error.issues.map(
      ({ path, message }) => `brokerTransportOptions.${path.join(".")}: ${message}`,
    );
    throw new ImproperlyConfigured(problems.join("; "));
  }
  const options = result.data;
  return {
    visibilityTimeout: options.visibility_timeout,
    restoreInterval: options.unacked_restore_interval,
    bodyEncoding: options.body_encoding === "base64" ? "base64" : null,
    queueOrder: options.queue_order_strategy,
    names: {
      globalKeyPrefix: options.global_keyprefix,
      separator: options.sep,
      prioritySteps: options.priority_steps,
      unackedKey: options.unacked_key,
      unackedIndexKey: options.unacked_index_key,
      unackedMutexKey: options.unacked_mutex_key,
      fanoutPrefix: options.fanout_prefix,
      fanoutPatterns: options.fanout_patterns,
      db,
    },
  };
}
