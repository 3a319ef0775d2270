import type { Exchange, Queue } from "../../../protocol/transport/entities.ts";
import { dumpBinding, type RedisNames, readBinding } from "../../../protocol/transport/redis.ts";
import { lookup, topicPattern } from "../../../protocol/transport/virtual.ts";
import type { ScriptedRedis } from "./scripts.ts";

/** How long an exchange's bindings are kept for a queue that expires: twice that, and an hour at least. */
const SHORTEST_BINDING_MS = 3_600_000;

/**
 * Which queues are bound to which exchanges: a set for each exchange, which all its users share. What kind an exchange
 * is Redis does not know: whoever declares it does. Mirrors `kombu/transport/redis.py _queue_bind`.
 */
export class RedisBindings {
  readonly #names: RedisNames;
  readonly #separator: string | undefined;
  readonly #deadlines: boolean;
  readonly #exchanges = new Map<string, Exchange>();
  #refreshed = Date.now();

  /** @param deadlines false to write no more than kombu before 5.7 does */
  constructor(names: RedisNames, separator: string | undefined, deadlines: boolean) {
    this.#names = names;
    this.#separator = separator;
    this.#deadlines = deadlines;
  }

  declareExchange(exchange: Exchange): void {
    this.#exchanges.set(exchange.name, exchange);
  }

  isFanout(exchange: string): boolean {
    return this.#exchanges.get(exchange)?.type === "fanout";
  }

  /** Adds the bindings of a queue; for one that expires also until when they are to be kept. */
  async bind(redis: ScriptedRedis, queue: Queue): Promise<void> {
    const expires = queue.arguments["x-expires"];
    for (const { exchange, member } of this.#members(queue)) {
      const key = this.#names.bindings(exchange.name);
      this.declareExchange(exchange);
      if (!this.#deadlines) {
        await redis.sadd(key, member);
      } else if (typeof expires === "number") {
        const keepMs = Math.max(2 * expires, SHORTEST_BINDING_MS);
        await redis.celeriacBindExpiring(key, this.#names.bindingDeadlines, member, exchange.name, keepMs);
      } else {
        const permanent = this.#names.permanentBindings(exchange.name);
        await Promise.all([redis.sadd(key, member), redis.sadd(permanent, member)]);
      }
    }
  }

  async unbind(redis: ScriptedRedis, queue: Queue): Promise<void> {
    for (const { exchange, member } of this.#members(queue)) {
      await redis.srem(this.#names.bindings(exchange.name), member);
      await redis.srem(this.#names.permanentBindings(exchange.name), member);
    }
  }

  /** The queues that a message reaches. */
  async lookup(redis: ScriptedRedis, exchange: string, routingKey: string): Promise<ReadonlySet<string>> {
    const members = await redis.smembers(this.#names.bindings(exchange));
    const table = members.map((member) => readBinding(member, this.#separator));
    const declared = this.#exchanges.get(exchange)?.type;
    const type = declared ?? (table.some(({ pattern }) => pattern !== "") ? "topic" : "direct");
    return lookup(table, type, routingKey);
  }

  /** Says every now and then that the bindings of queues which expire are still in use. */
  async refresh(redis: ScriptedRedis, consumed: readonly Queue[]): Promise<void> {
    if (Date.now() - this.#refreshed < SHORTEST_BINDING_MS / 3) return;
    this.#refreshed = Date.now();
    for (const queue of consumed) if (queue.arguments["x-expires"] !== undefined) await this.bind(redis, queue);
  }

  /** The bindings of a queue as they are stored; none on the default exchange. */
  #members(queue: Queue): { exchange: Exchange; member: string }[] {
    const first = { exchange: queue.exchange, routingKey: queue.routingKey };
    return [first, ...(queue.bindings ?? [])]
      .filter(({ exchange }) => exchange.name !== "")
      .map(({ exchange, routingKey }) => {
        const pattern = exchange.type === "topic" ? topicPattern(routingKey) : "";
        return { exchange, member: dumpBinding({ routingKey, pattern, queue: queue.name }, this.#separator) };
      });
  }
}
