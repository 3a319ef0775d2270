import { utf8Decode, utf8Encode } from "../../../protocol/serialization/bytes.ts";
import {
  isMemcachedKey,
  type MemcachedReply,
  memcachedExpiry,
  memcachedStore,
} from "../../../protocol/transport/memcached.ts";
import { rendezvousNode } from "../../../protocol/transport/rendezvous.ts";
import { EncodeError, OperationalError } from "../../app/errors.ts";
import type { BackendOptions } from "../backend.ts";
import { KeyValueBackend } from "../key-value.ts";
import { CacheChords, type Counters } from "./cache-chords.ts";
import { cacheOptions, memcachedAddresses } from "./cache-options.ts";
import { MemcachedServer } from "./memcached-server.ts";

/** How many keys are asked for in one line. */
const KEYS_A_LINE = 100;

/** Results in memcached, on one server or several, shared with Python. Mirrors `celery/backends/cache.py`. */
export class CacheBackend extends KeyValueBackend {
  readonly #servers = new Map<string, MemcachedServer>();
  readonly #names: readonly string[];
  readonly #prefix: string;
  override readonly chords: CacheChords;

  /** @throws ImproperlyConfigured when the URL names no server, or an option cannot be used */
  constructor(options: BackendOptions) {
    super(options);
    const read = cacheOptions(options.cacheOptions, options.log);
    for (const address of memcachedAddresses(options.url, read)) {
      this.#servers.set(address.name, new MemcachedServer(address));
    }
    this.#names = [...this.#servers.keys()];
    this.#prefix = read.keyPrefix;
    const expires = Math.trunc(options.expires ?? 0);
    this.chords = new CacheChords({
      counters: this.#counters(),
      keys: this.keys,
      expires,
      chordExpires: Math.trunc(options.chordExpires ?? expires),
      saveGroup: (group) => this.saveGroup(group),
      restoreGroup: (groupId) => this.restoreGroup(groupId),
      deleteGroup: (groupId) => this.deleteGroup(groupId),
      metas: (taskIds) => this.forwarded(taskIds),
      log: options.log,
    });
  }

  protected override checkKey(key: string): void {
    if (isMemcachedKey(this.#key(key))) return;
    throw new OperationalError(
      `${this.url}: memcached has no key ${JSON.stringify(key)}: up to 250 signs of ASCII, without spaces`,
    );
  }

  protected async get(key: string): Promise<Uint8Array | undefined> {
    const { values } = await this.#serverOf(key).ask(`get ${this.#key(key)}`);
    return values[0]?.value;
  }

  protected override async mget(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    const byServer = new Map<MemcachedServer, string[]>();
    for (const key of keys) {
      const server = this.#serverOf(key);
      byServer.set(server, [...(byServer.get(server) ?? []), this.#key(key)]);
    }
    const found = new Map<string, Uint8Array>();
    const asked = [...byServer].flatMap(([server, all]) => {
      const lines: Promise<void>[] = [];
      for (let at = 0; at < all.length; at += KEYS_A_LINE) {
        const reply = server.ask(`get ${all.slice(at, at + KEYS_A_LINE).join(" ")}`);
        lines.push(
          reply.then(({ values }) => {
            for (const { key, value } of values) found.set(key, value);
          }),
        );
      }
      return lines;
    });
    await Promise.all(asked);
    return keys.map((key) => found.get(this.#key(key)));
  }

  protected async set(key: string, value: Uint8Array, expires: number): Promise<void> {
    const expiry = memcachedExpiry(expires, Date.now() / 1000);
    try {
      await this.#serverOf(key).ask(memcachedStore("set", this.#key(key), value, expiry));
    } catch (error) {
      if (!/too large/.test((error as Error).message)) throw error;
      throw new EncodeError(
        `${this.url}: ${key} has ${value.length} bytes, more than memcached takes (its option -I)`,
        { cause: error },
      );
    }
  }

  protected async delete(key: string): Promise<void> {
    await this.#serverOf(key).ask(`delete ${this.#key(key)}`);
  }

  protected override async onClose(): Promise<void> {
    for (const server of this.#servers.values()) server.close();
  }

  #counters(): Counters {
    const ask = (verb: string, key: string, rest = ""): Promise<MemcachedReply> =>
      this.#serverOf(key).ask(`${verb} ${this.#key(key)}${rest}`);
    const store = (verb: "set" | "add", key: string, value: string, expires: number): Promise<MemcachedReply> => {
      const expiry = memcachedExpiry(expires, Date.now() / 1000);
      return this.#serverOf(key).ask(memcachedStore(verb, this.#key(key), utf8Encode(value), expiry));
    };
    return {
      set: async (key, value, expires) => void (await store("set", key, value, expires)),
      add: async (key, value, expires) => (await store("add", key, value, expires)).line === "STORED",
      async get(key) {
        const [found] = (await ask("get", key)).values;
        return found && utf8Decode(found.value);
      },
      async count(key, by) {
        const { line } = await ask(by < 0 ? "decr" : "incr", key, ` ${Math.abs(by)}`);
        return /^\d+/.test(line) ? Number.parseInt(line, 10) : undefined;
      },
      touch: async (key, expires) => void (await ask("touch", key, ` ${memcachedExpiry(expires, Date.now() / 1000)}`)),
      delete: (key) => this.delete(key),
    };
  }

  #serverOf(key: string): MemcachedServer {
    const name = this.#names.length === 1 ? this.#names[0] : rendezvousNode(this.#names, key);
    return this.#servers.get(name ?? "") as MemcachedServer;
  }

  #key(key: string): string {
    return this.#prefix + key;
  }
}
