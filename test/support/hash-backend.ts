import { Redis } from "ioredis";
import { type BackendOptions, KeyValueBackend } from "../../src/index.ts";

/** A backend as a user would write one: results in a hash of Redis, which gives text, and never expires anything. */
export class HashBackend extends KeyValueBackend {
  /** How often it was asked for several at once, and for how many. */
  readonly asked: number[] = [];
  readonly #redis: Redis;
  readonly #name: string;

  /** @param options `hash://host:port/name` */
  constructor(options: BackendOptions) {
    super(options);
    const { host, pathname } = new URL(options.url.replace("hash:", "redis:"));
    this.#redis = new Redis(`redis://${host}`, { lazyConnect: true, maxRetriesPerRequest: 0 });
    this.#redis.on("error", () => undefined);
    this.#name = pathname.slice(1);
  }

  protected get(key: string): Promise<string | null> {
    return this.#redis.hget(this.#name, key);
  }

  protected async set(key: string, value: Uint8Array): Promise<void> {
    await this.#redis.hset(this.#name, key, Buffer.from(value));
  }

  protected async delete(key: string): Promise<void> {
    await this.#redis.hdel(this.#name, key);
  }

  protected override mget(keys: readonly string[]): Promise<(string | null)[]> {
    this.asked.push(keys.length);
    return this.#redis.hmget(this.#name, ...keys);
  }

  protected override async onClose(): Promise<void> {
    this.#redis.disconnect();
  }
}
