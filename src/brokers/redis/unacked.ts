import { loadsForward } from "../../../protocol/serialization/json-reader.ts";
import { dumps } from "../../../protocol/serialization/json-writer.ts";
import type { RedisNames } from "../../../protocol/transport/redis.ts";
import { markRedelivered, readEnvelope } from "../../../protocol/transport/virtual.ts";
import type { Logger } from "../../logger.ts";
import type { ScriptedRedis } from "./scripts.ts";

/** How many abandoned messages one look restores at the most; the next look follows at once when there were more. */
const RESTORE_LIMIT = 50;

/** How long somebody else's sweep is given before its lock is taken for one that a dead worker left. Seconds. */
const MUTEX_PATIENCE = 3;

/** How long it is remembered how often a message was begun, in seconds. */
const BEGUN_EXPIRES = 7 * 86_400;

/** Finds the queues that a message of an exchange goes to. */
export type Lookup = (exchange: string, routingKey: string) => Promise<Iterable<string>>;

/**
 * The messages that workers hold: kombu's hash `unacked` with their texts and the sorted set `unacked_index` with the
 * time of each. Mirrors `kombu/transport/redis.py QoS`.
 */
export class Unacked {
  readonly #names: RedisNames;
  readonly #lookup: Lookup;
  readonly #log: Logger;

  constructor(names: RedisNames, lookup: Lookup, log: Logger) {
    this.#names = names;
    this.#lookup = lookup;
    this.#log = log;
  }

  /** Forgets messages that are done. */
  async remove(redis: ScriptedRedis, tags: readonly string[]): Promise<void> {
    const results = await redis
      .multi()
      .zrem(this.#names.unackedIndex, ...tags)
      .hdel(this.#names.unacked, ...tags)
      .exec();
    for (const [error] of results ?? []) if (error) throw error;
  }

  /** Counts that work on a redelivered message begins. @returns how often it did before, since {@link forgetBegun} */
  async begin(redis: ScriptedRedis, tag: string): Promise<number> {
    const key = this.#names.begun(tag);
    const results = await redis.multi().incr(key).expire(key, BEGUN_EXPIRES).exec();
    const [error, count] = results?.[0] ?? [null, 1];
    if (error) throw error;
    return Number(count) - 1;
  }

  async forgetBegun(redis: ScriptedRedis, tag: string): Promise<void> {
    await redis.del(this.#names.begun(tag));
  }

  /** Says that messages are still in good hands, so that nobody takes them for abandoned. */
  async refresh(redis: ScriptedRedis, tags: readonly string[], now: number): Promise<void> {
    for (let start = 0; start < tags.length; start += 1000) {
      const scores = tags.slice(start, start + 1000).flatMap((tag) => [now, tag]);
      await redis.zadd(this.#names.unackedIndex, "XX", ...scores);
    }
  }

  /** Puts messages back that this worker holds. */
  async restore(redis: ScriptedRedis, tags: readonly string[], place: "next" | "last"): Promise<void> {
    await this.#restoreAll(redis, tags, Number.MAX_SAFE_INTEGER, place);
  }

  /**
   * Puts back what was taken longer ago than the visibility timeout and not settled since.
   * @returns how many were looked at; 0 when there is nothing to do, or somebody else is at it
   */
  async restoreAbandoned(redis: ScriptedRedis, visibilityTimeout: number, now: number): Promise<number> {
    const newest = now - visibilityTimeout;
    const found = await redis.zrangebyscore(
      this.#names.unackedIndex,
      "-inf",
      newest,
      "WITHSCORES",
      "LIMIT",
      0,
      RESTORE_LIMIT,
    );
    if (found.length === 0) return 0;
    const overdue = newest - Number(found[1]);
    if (overdue < MUTEX_PATIENCE && (await redis.exists(this.#names.unackedMutex))) return 0;
    const tags = found.filter((_, position) => position % 2 === 0);
    const restored = await this.#restoreAll(redis, tags, newest, "next");
    if (restored > 0) {
      this.#log.warn(
        { restored },
        `Restored ${restored} message(s) that were not acknowledged within ${visibilityTimeout} s`,
      );
    }
    return found.length / 2;
  }

  async #restoreAll(
    redis: ScriptedRedis,
    tags: readonly string[],
    newestScore: number,
    place: "next" | "last",
  ): Promise<number> {
    if (tags.length === 0) return 0;
    const held = await redis.hmget(this.#names.unacked, ...tags);
    const restored = await Promise.all(
      tags.map(async (tag, position) => {
        const text = held[position];
        // A tag without a text is left from a settlement that was cut in two: only the index has to be cleaned.
        if (text) return this.#restoreOne(redis, tag, text, newestScore, place);
        await redis.zrem(this.#names.unackedIndex, tag);
        return 0;
      }),
    );
    return restored.reduce((sum, count) => sum + count, 0);
  }

  async #restoreOne(
    redis: ScriptedRedis,
    tag: string,
    held: string,
    newestScore: number,
    place: "next" | "last",
  ): Promise<number> {
    const { text, lists } = await this.#destination(held);
    const [first, ...others] = lists;
    const { unacked, unackedIndex } = this.#names;
    if (first === undefined) {
      this.#log.error({ message: held.slice(0, 1000) }, "Could not restore message: no queue is bound for it any more");
      return redis.celeriacRestore(
        unacked,
        unackedIndex,
        this.#names.list("celeriac.unrestorable"),
        tag,
        text,
        newestScore,
        place,
      );
    }
    const count = await redis.celeriacRestore(unacked, unackedIndex, first, tag, text, newestScore, place);
    if (count > 0) for (const list of others) await redis.rpush(list, text);
    return count;
  }

  /** The text to put back, and where: kombu holds `[message, exchange, routing key]`. */
  async #destination(held: string): Promise<{ text: string; lists: string[] }> {
    const [message, exchange, routingKey] = loadsForward(held) as [unknown, string, string];
    const text = dumps(message);
    try {
      const { properties } = readEnvelope(text);
      const queues = exchange === "" ? [routingKey] : await this.#lookup(exchange, routingKey);
      const lists = Array.from(queues, (queue) => this.#names.list(queue, Number(properties.priority ?? 0)));
      return { text: markRedelivered(text), lists };
    } catch {
      return { text, lists: exchange === "" ? [this.#names.list(routingKey)] : [] };
    }
  }
}
