import type { Redis } from "ioredis";
import { DecodeError } from "../../../protocol/errors.ts";
import { isMapping } from "../../../protocol/message/headers.ts";
import { type ResultKeys, resultKeys } from "../../../protocol/result/keys.ts";
import { pendingMeta, readMeta, type TaskMeta } from "../../../protocol/result/meta.ts";
import { asTuple, fromTuple, type ResultNode } from "../../../protocol/result/result-tuple.ts";
import { OperationalError } from "../../app/errors.ts";
import { asBuffer } from "../../buffer.ts";
import { RedisClient } from "../../redis/client.ts";
import { redisAddresses } from "../../redis/url.ts";
import type { BackendOptions, ResultBackend } from "../backend.ts";
import { RedisChords } from "./chords.ts";
import { type ScriptedRedis, withScripts } from "./scripts.ts";
import { ResultSubscription } from "./subscription.ts";

/** Celery's Redis backend: the same keys, records and channels. Mirrors `celery/backends/redis.py`. */
export class RedisBackend implements ResultBackend {
  readonly persistent = true;
  readonly supportsResultCompression = true;
  readonly chords: RedisChords;
  readonly #options: BackendOptions;
  readonly #keys: ResultKeys;
  readonly #client: RedisClient;
  readonly #subscription: ResultSubscription;
  #scripted: ScriptedRedis | undefined;
  #closed = false;

  /** @throws ImproperlyConfigured when the URL or a transport option cannot be used */
  constructor(options: BackendOptions) {
    this.#options = options;
    const { transportOptions } = options;
    this.#keys = resultKeys(String(transportOptions.global_keyprefix ?? ""));
    const client = {
      addresses: redisAddresses(options.url.split(";"), options),
      connectTimeoutMs: options.connectionTimeout * 1000,
      name: options.clientName,
    };
    this.#client = new RedisClient({ ...client, onReady: (redis) => this.#onReady(redis) });
    const prefix = this.#keys.task("").length;
    this.#subscription = new ResultSubscription(
      {
        key: (taskId) => this.#keys.task(taskId),
        taskId: (key) => key.slice(prefix),
        unpack: (text) => options.codec.unpack(text),
        read: (text, taskId) => this.#read(text, taskId),
        readAll: (taskIds) => this.#readAll(taskIds),
      },
      { ...client, name: `${options.clientName}:subscriber` },
    );
    const chordExpires = Math.trunc(options.chordExpires ?? options.expires ?? 0);
    this.chords = new RedisChords({
      keys: this.#keys,
      codec: options.codec,
      expires: chordExpires,
      groupExpires: chordExpires && options.expires ? Math.max(chordExpires, options.expires) : 0,
      claims: options.chordClaims ?? true,
      ordered: transportOptions.result_chord_ordered !== false,
      whenReady: () => this.#whenReady(),
      saveGroup: (group) => this.saveGroup(group),
      restoreGroup: (groupId) => this.restoreGroup(groupId),
    });
  }

  get url(): string {
    return this.#client.url;
  }

  async storeResult(meta: TaskMeta): Promise<void> {
    const record = asBuffer(await this.#options.codec.pack(meta));
    const { expires, failureExpires } = this.#options;
    const keep = Math.trunc((meta.status === "FAILURE" ? (failureExpires ?? expires) : expires) ?? 0);
    const key = this.#keys.task(meta.task_id);
    const redis = await this.#whenReady();
    await this.#attempt(async () => {
      const stored = await redis.celeriacStoreBuffer(key, record, keep, "0");
      if (!Buffer.isBuffer(stored)) return;
      if ((await this.#status(stored, meta.task_id)) !== "SUCCESS")
        await redis.celeriacStoreBuffer(key, record, keep, "1");
    });
  }

  async getTaskMeta(taskId: string): Promise<TaskMeta> {
    const [meta] = await this.#readAll([taskId]);
    if (meta instanceof Error) throw meta;
    return meta ?? pendingMeta(taskId);
  }

  wait(taskId: string, signal: AbortSignal, onState?: (meta: TaskMeta) => void): Promise<TaskMeta> {
    if (this.#closed) return Promise.reject(new OperationalError("the result backend is closed"));
    return this.#subscription.wait(taskId, signal, onState);
  }

  async forget(taskId: string): Promise<void> {
    const redis = await this.#whenReady();
    await this.#attempt(() => redis.del(this.#keys.task(taskId)));
  }

  async saveGroup(group: ResultNode): Promise<void> {
    const redis = await this.#whenReady();
    const key = this.#keys.group(group.id);
    const record = asBuffer(await this.#options.codec.pack({ result: asTuple(group) }));
    const keep = Math.trunc(this.#options.expires ?? 0);
    await this.#attempt(async () => {
      const pipeline = redis.multi();
      if (keep > 0) pipeline.setex(key, keep, record);
      else pipeline.set(key, record);
      for (const [error] of (await pipeline.publish(key, record).exec()) ?? []) if (error) throw error;
    });
  }

  async restoreGroup(groupId: string): Promise<ResultNode | null> {
    const redis = await this.#whenReady();
    const record = await this.#attempt(() => redis.getBuffer(this.#keys.group(groupId)));
    if (!record) return null;
    const value = this.#options.codec.decode(await this.#options.codec.unpack(record));
    return isMapping(value) ? fromTuple(value.result) : null;
  }

  async deleteGroup(groupId: string): Promise<void> {
    const redis = await this.#whenReady();
    await this.#attempt(() => redis.del(this.#keys.group(groupId)));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#subscription.close(new OperationalError("the result backend was closed before the result came"));
    await this.#client.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #onReady(redis: Redis): void {
    this.#scripted = withScripts(redis);
  }

  async #whenReady(): Promise<ScriptedRedis> {
    if (!this.#client.ready) await this.#client.whenReady(this.#options.connectionTimeout * 1000);
    return this.#scripted as ScriptedRedis;
  }

  async #attempt<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (error) {
      if (error instanceof OperationalError) throw error;
      throw new OperationalError(`${this.url}: ${(error as Error).message}`, { cause: error });
    }
  }

  async #readAll(taskIds: readonly string[]): Promise<(TaskMeta | Error)[]> {
    if (taskIds.length === 0) return [];
    const redis = await this.#whenReady();
    const stored = await this.#attempt(() => redis.mgetBuffer(...taskIds.map((taskId) => this.#keys.task(taskId))));
    return Promise.all(taskIds.map((taskId, position) => this.#readStored(stored[position] ?? null, taskId)));
  }

  async #readStored(stored: Buffer | null, taskId: string): Promise<TaskMeta | Error> {
    if (!stored) return pendingMeta(taskId);
    try {
      return this.#read(await this.#options.codec.unpack(stored), taskId);
    } catch (error) {
      return error as Error;
    }
  }

  #read(text: Uint8Array, taskId: string): TaskMeta {
    return readMeta(this.#options.codec.decode(text), taskId);
  }

  async #status(stored: Buffer, taskId: string): Promise<string | undefined> {
    try {
      return this.#read(await this.#options.codec.unpack(stored), taskId).status;
    } catch (error) {
      if (error instanceof DecodeError) return undefined;
      throw error;
    }
  }
}
