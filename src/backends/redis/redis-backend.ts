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
import { Retries, storePolicy } from "../retries.ts";
import { RedisChords } from "./chords.ts";
import { type ScriptedRedis, withScripts } from "./scripts.ts";
import { ResultSubscription } from "./subscription.ts";

/** Celery's Redis backend: the same keys, records and channels. Mirrors `celery/backends/redis.py`. */
export class RedisBackend implements ResultBackend {
  readonly persistent = true;
  readonly supportsResultCompression = true;
  readonly retriesStoring = true;
  readonly chords: RedisChords;
  readonly #options: BackendOptions;
  readonly #keys: ResultKeys;
  readonly #client: RedisClient;
  readonly #connectTimeoutMs: number;
  readonly #retries: Retries;
  readonly #subscription: ResultSubscription;
  #scripted: ScriptedRedis | undefined;
  #closed = false;

  /** @throws ImproperlyConfigured when the URL or a transport option cannot be used */
  constructor(options: BackendOptions) {
    this.#options = options;
    const { transportOptions } = options;
    this.#keys = resultKeys(String(transportOptions.global_keyprefix ?? ""));
    const { redis } = options;
    this.#retries = new Retries(storePolicy(transportOptions.retry_policy), options.alwaysRetry, options.log);
    const url = /^redis$/i.test(options.url) ? `redis:///${redis.db ?? 0}` : options.url;
    this.#connectTimeoutMs = (redis.socketConnectTimeout || options.connectionTimeout) * 1000;
    const client = {
      addresses: redisAddresses(url.split(";"), options),
      connectTimeoutMs: this.#connectTimeoutMs,
      name: redis.clientName ?? options.clientName,
      ...(redis.healthCheckInterval && { healthCheckIntervalMs: redis.healthCheckInterval * 1000 }),
    };
    this.#client = new RedisClient({
      ...client,
      ...(redis.socketTimeout && { commandTimeoutMs: redis.socketTimeout * 1000 }),
      onReady: (ready) => this.#onReady(ready),
    });
    const prefix = this.#keys.task("").length;
    this.#subscription = new ResultSubscription(
      {
        key: (taskId) => this.#keys.task(taskId),
        taskId: (key) => key.slice(prefix),
        unpack: (text) => options.codec.unpack(text),
        read: (text, taskId) => this.#read(text, taskId),
        readAll: (taskIds) => this.#readAll(taskIds),
      },
      { ...client, name: `${client.name}:subscriber` },
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
    await this.#retries.storing(`store the result of ${meta.task_id}`, async () => {
      const redis = await this.#whenReady();
      await this.#attempt(() => this.#store(redis, meta.task_id, key, record, keep));
    });
  }

  /** Asks the script to store, and once more where only we can tell that what is there is no SUCCESS. */
  async #store(redis: ScriptedRedis, taskId: string, key: string, record: Buffer, keep: number): Promise<void> {
    const stored = await redis.celeriacStoreBuffer(key, record, keep, "0");
    if (!Buffer.isBuffer(stored)) return;
    if ((await this.#status(stored, taskId)) !== "SUCCESS") await redis.celeriacStoreBuffer(key, record, keep, "1");
  }

  async getTaskMeta(taskId: string): Promise<TaskMeta> {
    const [meta] = await this.#retries.any(`read the result of ${taskId}`, () => this.#readAll([taskId]));
    if (meta instanceof Error) throw meta;
    return meta ?? pendingMeta(taskId);
  }

  wait(taskId: string, signal: AbortSignal, onState?: (meta: TaskMeta) => void): Promise<TaskMeta> {
    if (this.#closed) return Promise.reject(new OperationalError("the result backend is closed"));
    return this.#subscription.wait(taskId, signal, onState);
  }

  async forget(taskId: string): Promise<void> {
    await this.#retries.any(`forget the result of ${taskId}`, () => this.#delete(this.#keys.task(taskId)));
  }

  async saveGroup(group: ResultNode): Promise<void> {
    const key = this.#keys.group(group.id);
    const record = asBuffer(await this.#options.codec.pack({ result: asTuple(group) }));
    const keep = Math.trunc(this.#options.expires ?? 0);
    await this.#retries.storing(`save the group ${group.id}`, async () => {
      const redis = await this.#whenReady();
      await this.#attempt(async () => {
        const pipeline = redis.multi();
        if (keep > 0) pipeline.setex(key, keep, record);
        else pipeline.set(key, record);
        for (const [error] of (await pipeline.publish(key, record).exec()) ?? []) if (error) throw error;
      });
    });
  }

  async restoreGroup(groupId: string): Promise<ResultNode | null> {
    const record = await this.#retries.any(`restore the group ${groupId}`, async () => {
      const redis = await this.#whenReady();
      return this.#attempt(() => redis.getBuffer(this.#keys.group(groupId)));
    });
    if (!record) return null;
    const value = this.#options.codec.decode(await this.#options.codec.unpack(record));
    return isMapping(value) ? fromTuple(value.result) : null;
  }

  async deleteGroup(groupId: string): Promise<void> {
    await this.#retries.any(`delete the group ${groupId}`, () => this.#delete(this.#keys.group(groupId)));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#retries.close();
    await this.#subscription.close(new OperationalError("the result backend was closed before the result came"));
    await this.#client.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #delete(key: string): Promise<void> {
    const redis = await this.#whenReady();
    await this.#attempt(() => redis.del(key));
  }

  #onReady(redis: Redis): void {
    this.#scripted = withScripts(redis);
  }

  async #whenReady(): Promise<ScriptedRedis> {
    if (!this.#client.ready) await this.#client.whenReady(this.#connectTimeoutMs);
    return this.#scripted as ScriptedRedis;
  }

  async #attempt<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (error) {
      if (error instanceof OperationalError) throw error;
      // What comes later on this connection is not to be waited for either.
      if ((error as Error).message === "Command timed out") this.#client.reset(error as Error);
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
