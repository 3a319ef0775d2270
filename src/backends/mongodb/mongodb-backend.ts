import type { Collection, MongoClient } from "mongodb";
import { isoFormat } from "../../../protocol/python/datetime.ts";
import { pendingMeta, readMeta, type TaskMeta } from "../../../protocol/result/meta.ts";
import type { ResultNode } from "../../../protocol/result/result-tuple.ts";
import { utf8Decode, utf8Encode } from "../../../protocol/serialization/bytes.ts";
import { ImproperlyConfigured, OperationalError } from "../../app/errors.ts";
import { maskedUrl } from "../../masked-url.ts";
import type { BackendOptions, ResultBackend } from "../backend.ts";
import { operational } from "../operational.ts";
import { optionalDriver } from "../optional-driver.ts";
import { ResultPoller } from "../result-poller.ts";
import { type BsonTypes, fromBson, toBson } from "./bson-values.ts";
import { type MongodbOptions, mongodbOptions } from "./mongodb-options.ts";

/** What is kept of a task or a group; tasks have a `status` and more. */
interface Document {
  _id: string;
  result?: unknown;
  date_done?: Date | null;
  [field: string]: unknown;
}

/** A second try is for a document that another writer inserts at the same moment. */
const TRIES = 2;
const DUPLICATE_KEY = 11000;

/**
 * Results as documents in MongoDB: what a task returned as `resultSerializer` writes it, the rest in MongoDB's own types.
 * Mirrors `celery/backends/mongodb.py`.
 *
 * Waiting is by looking. Documents are kept until {@link cleanup} drops them. Of a group the ids of its members are
 * kept, and no more.
 */
export class MongodbBackend implements ResultBackend {
  readonly persistent = true;
  readonly supportsResultCompression = true;
  /** Left to `celery.chord_unlock`, as in Celery. */
  readonly chords = undefined;
  readonly url: string;
  readonly #options: BackendOptions;
  readonly #where: MongodbOptions;
  readonly #client: MongoClient;
  readonly #types: BsonTypes;
  readonly #poller: ResultPoller<{ taskId: string; meta: TaskMeta | Error }>;
  #indexed: Promise<unknown> | undefined;
  #closed = false;

  private constructor(options: BackendOptions, where: MongodbOptions, client: MongoClient, types: BsonTypes) {
    this.url = maskedUrl(options.url);
    this.#options = options;
    this.#where = where;
    this.#client = client;
    this.#types = types;
    this.#poller = new ResultPoller({
      rows: (taskIds) => this.#find(taskIds),
      taskId: ({ taskId }) => taskId,
      read({ meta }) {
        if (meta instanceof Error) throw meta;
        return meta;
      },
    });
  }

  /** @throws ImproperlyConfigured when the driver is not installed, or does not take the URL or an option */
  static async open(options: BackendOptions): Promise<MongodbBackend> {
    const where = mongodbOptions(options);
    const driver = await optionalDriver(() => import("mongodb"), "mongodb", "npm install mongodb");
    let client: MongoClient;
    try {
      client = new driver.MongoClient(where.url, { ...where.client, useBigInt64: true });
    } catch (cause) {
      throw new ImproperlyConfigured(`resultBackend ${maskedUrl(where.url)}: ${(cause as Error).message}`, { cause });
    }
    return new MongodbBackend(options, where, client, driver);
  }

  async storeResult(meta: TaskMeta): Promise<void> {
    const { task_id: _id, result, date_done, ...fields } = meta;
    const stored = await this.#encode(result);
    const document = {
      ...(toBson(fields, this.#types) as object),
      result: stored,
      date_done: date_done === null ? null : new Date(date_done),
      _id,
    };
    await operational(this.url, async () => {
      const tasks = await this.#tasks();
      for (let attempt = 1; ; attempt++) {
        try {
          // The filter and the write are one step: a SUCCESS does not match, and its id cannot be inserted again.
          await tasks.replaceOne({ _id, status: { $ne: "SUCCESS" } }, document, { upsert: true });
          return;
        } catch (error) {
          if ((error as { code?: unknown }).code !== DUPLICATE_KEY) throw error;
          if (attempt === TRIES) return;
        }
      }
    });
  }

  async getTaskMeta(taskId: string): Promise<TaskMeta> {
    const [found] = await this.#find([taskId]);
    if (found?.meta instanceof Error) throw found.meta;
    return found?.meta ?? pendingMeta(taskId);
  }

  wait(taskId: string, signal: AbortSignal, onState?: (meta: TaskMeta) => void): Promise<TaskMeta> {
    if (this.#closed) return Promise.reject(new OperationalError("the result backend is closed"));
    return this.#poller.wait(taskId, signal, onState);
  }

  async forget(taskId: string): Promise<void> {
    await operational(this.url, async () => (await this.#tasks()).deleteOne({ _id: taskId }));
  }

  async saveGroup(group: ResultNode): Promise<void> {
    const result = await this.#encode((group.results ?? []).map(({ id }) => id));
    const document = { _id: group.id, result, date_done: new Date() };
    await operational(this.url, async () =>
      (await this.#groups()).replaceOne({ _id: group.id }, document, { upsert: true }),
    );
  }

  async restoreGroup(groupId: string): Promise<ResultNode | null> {
    const found = await operational(this.url, async () => (await this.#groups()).findOne({ _id: groupId }));
    if (!found) return null;
    const ids = await this.#decode(found.result);
    const results = Array.isArray(ids) ? ids.map((id) => ({ id: String(id), parent: null, results: null })) : [];
    return { id: groupId, parent: null, results };
  }

  async deleteGroup(groupId: string): Promise<void> {
    await operational(this.url, async () => (await this.#groups()).deleteOne({ _id: groupId }));
  }

  /** Drops what ended longer than `expires` ago; tasks that never ended stay, as in Celery. */
  async cleanup(now: Date = new Date()): Promise<void> {
    const { expires } = this.#options;
    if (!expires) return;
    const old = { date_done: { $lt: new Date(now.getTime() - expires * 1000) } };
    await operational(this.url, async () => (await this.#tasks()).deleteMany(old));
    await operational(this.url, async () => (await this.#groups()).deleteMany(old));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#poller.close(new OperationalError("the result backend was closed before the result came"));
    await this.#client.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #tasks(): Promise<Collection<Document>> {
    await this.#index();
    return this.#collection(this.#where.taskmetaCollection);
  }

  async #groups(): Promise<Collection<Document>> {
    await this.#index();
    return this.#collection(this.#where.groupmetaCollection);
  }

  #collection(name: string): Collection<Document> {
    return this.#client.db(this.#where.database).collection<Document>(name);
  }

  /** Cleaning up goes by this index. It has to be the one that Celery asks for, word by word, or one of both is refused. */
  #index(): Promise<unknown> {
    const { taskmetaCollection, groupmetaCollection } = this.#where;
    this.#indexed ??= Promise.all(
      [taskmetaCollection, groupmetaCollection].map((name) =>
        this.#collection(name).createIndex({ date_done: 1 }, { background: true }),
      ),
    ).catch((error) => {
      this.#indexed = undefined;
      throw error;
    });
    return this.#indexed;
  }

  async #find(taskIds: readonly string[]): Promise<{ taskId: string; meta: TaskMeta | Error }[]> {
    const found = await operational(this.url, async () =>
      (await this.#tasks()).find({ _id: { $in: [...taskIds] } }, { promoteBuffers: true }).toArray(),
    );
    return Promise.all(found.map(async (document) => ({ taskId: document._id, meta: await this.#meta(document) })));
  }

  async #meta({ _id, result, date_done, ...fields }: Document): Promise<TaskMeta | Error> {
    try {
      const value = await this.#decode(result);
      const done = date_done instanceof Date ? isoFormat(date_done) : null;
      return readMeta({ ...(fromBson(fields) as object), result: value, date_done: done, task_id: _id }, _id);
    } catch (error) {
      return error as Error;
    }
  }

  async #encode(value: unknown): Promise<unknown> {
    const { codec } = this.#options;
    const packed = await codec.pack(value);
    // No text begins so: it is compressed, or of a serializer that writes bytes.
    if (codec.contentEncoding === "binary" || packed[0] === 0) return new this.#types.Binary(packed);
    return utf8Decode(packed);
  }

  async #decode(stored: unknown): Promise<unknown> {
    const { codec } = this.#options;
    const bytes = typeof stored === "string" ? utf8Encode(stored) : bytesOf(stored);
    return codec.decode(await codec.unpack(bytes));
  }
}

/** Bytes, as the driver gives them with or without `promoteBuffers`. */
function bytesOf(stored: unknown): Uint8Array {
  if (stored instanceof Uint8Array) return stored;
  const { buffer } = (stored ?? {}) as { buffer?: unknown };
  return buffer instanceof Uint8Array ? buffer : new Uint8Array();
}
