import type { Redis } from "ioredis";
import { RedisClient, type RedisClientOptions } from "../../redis/client.ts";

/** The channel on which Redis tells a connection which of the keys that another one read have changed. */
const INVALIDATIONS = "__redis__:invalidate";

/**
 * The connection that is only spoken to: the channels of fanout exchanges, and Redis's word that something came into
 * a list that was empty. After a reconnect it subscribes again.
 */
export class RedisSubscriber {
  readonly #client: RedisClient;
  readonly #channels = new Map<string, Set<(text: string) => void>>();
  /** Called when a list that is waited on may have changed. */
  onChange: (() => void) | undefined;
  /** Called when {@link clientId} is another one: until it is told whom to tell, Redis tells nobody. */
  onClientId: (() => void) | undefined;
  /** The connection's id, by which another connection's tracking is sent here; undefined while there is none. */
  clientId: number | undefined;

  constructor(options: RedisClientOptions) {
    this.#client = new RedisClient({
      ...options,
      onReady: (redis) => this.#onReady(redis),
      onLost: (error) => {
        this.clientId = undefined;
        options.onLost?.(error);
        this.onClientId?.();
      },
    });
  }

  /** @throws OperationalError when the connection cannot be opened within the time */
  async open(timeoutMs: number): Promise<void> {
    await this.#client.whenReady(timeoutMs);
  }

  /**
   * Listens on the channels that match a pattern.
   * @returns what stops it
   */
  async subscribe(pattern: string, listener: (text: string) => void, timeoutMs: number): Promise<() => Promise<void>> {
    const listeners = this.#channels.get(pattern) ?? new Set();
    this.#channels.set(pattern, listeners.add(listener));
    const redis = await this.#client.whenReady(timeoutMs);
    await redis.psubscribe(pattern);
    return async () => {
      listeners.delete(listener);
      if (listeners.size > 0) return;
      this.#channels.delete(pattern);
      if (this.#client.ready) await this.#client.redis.punsubscribe(pattern).catch(() => undefined);
    };
  }

  async close(): Promise<void> {
    await this.#client.close(200);
  }

  #onReady(redis: Redis): void {
    redis.on("pmessage", (pattern: string, _channel: string, text: string) => {
      for (const listener of this.#channels.get(pattern) ?? []) listener(text);
    });
    redis.on("message", () => this.onChange?.());
    redis
      .client("ID")
      .then(async (id) => {
        await redis.subscribe(INVALIDATIONS);
        if (this.#channels.size > 0) await redis.psubscribe(...this.#channels.keys());
        this.clientId = id;
        this.onClientId?.();
      })
      // The connection broke again: the next one starts over.
      .catch(() => undefined);
  }
}
