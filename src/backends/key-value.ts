import { DecodeError } from "../../protocol/errors.ts";
import { isMapping } from "../../protocol/message/headers.ts";
import { type ResultKeys, resultKeys } from "../../protocol/result/keys.ts";
import { pendingMeta, readMeta, type TaskMeta } from "../../protocol/result/meta.ts";
import { asTuple, fromTuple, type ResultNode } from "../../protocol/result/result-tuple.ts";
import { utf8Encode } from "../../protocol/serialization/bytes.ts";
import { InflatedSizeExceeded, OperationalError } from "../app/errors.ts";
import { maskedUrl } from "../masked-url.ts";
import type { BackendOptions, ChordStore, ResultBackend } from "./backend.ts";
import { operational } from "./operational.ts";
import { ResultPoller } from "./result-poller.ts";

/** What a store gives for a key: bytes, text, or nothing. */
export type StoredValue = Uint8Array | string | null | undefined;

/** What is there for a task: its record, or why it cannot be read. */
interface Found {
  taskId: string;
  meta: TaskMeta | Error;
}

/** Milliseconds between two looks at a record that is half written. */
const REREAD_MS = 10;

/**
 * A result backend on any store of values by key: to make one, say how to `get`, `set` and `delete`. Keys and records
 * are those of Celery's key-value backends, so that a Python backend on the same store shares its results.
 * Mirrors `celery/backends/base.py BaseKeyValueStoreBackend`.
 *
 * Waiting is by looking, with one `mget` at a time for all that wait, 20 to 500 ms apart. What a method throws reaches
 * the caller as an OperationalError, unless it is a CeleryError already.
 */
export abstract class KeyValueBackend implements ResultBackend {
  readonly url: string;
  readonly persistent: boolean = true;
  /**
   * Whether results are compressed by `resultCompression`: false unless set. All who read them, Python's backend of the
   * same store too, have to take any bytes.
   */
  readonly supportsResultCompression: boolean = false;
  /** Left to `celery.chord_unlock`, unless a backend counts parts itself. */
  readonly chords: ChordStore | undefined = undefined;
  /**
   * How often a record that cannot be read is read again, 10 ms apart, before it counts as broken: for stores that
   * show records half written.
   */
  protected readonly rereads: number = 0;
  protected readonly options: BackendOptions;
  /** The names of the keys, `global_keyprefix` of `resultBackendTransportOptions` in front. */
  protected readonly keys: ResultKeys;
  readonly #poller: ResultPoller<Found>;
  #closed = false;

  /** @param longestPauseMs milliseconds between two looks for one task in the end */
  constructor(options: BackendOptions, longestPauseMs?: number) {
    this.url = maskedUrl(options.url);
    this.options = options;
    this.keys = resultKeys(String(options.transportOptions.global_keyprefix ?? ""));
    this.#poller = new ResultPoller({
      rows: (taskIds) => this.#find(taskIds),
      taskId: ({ taskId }) => taskId,
      read: ({ meta }) => orThrow(meta),
      onWaiting: (waiting) => this.onWaiting(waiting),
      ...(longestPauseMs !== undefined && { longestPauseMs }),
    });
  }

  /** The value of a key; null or undefined when there is none. */
  protected abstract get(key: string): Promise<StoredValue>;

  /**
   * Stores a value, in the place of any that is there.
   * @param expires seconds to keep it; 0 for ever. A store that cannot do that may have a `cleanup` instead
   */
  protected abstract set(key: string, value: Uint8Array, expires: number): Promise<void>;

  /** Drops a key. One that is not there is no error. */
  protected abstract delete(key: string): Promise<void>;

  /** The values of several keys, in their order. One `get` for each unless a backend knows better. */
  protected mget(keys: readonly string[]): Promise<StoredValue[]> {
    return Promise.all(keys.map((key) => this.get(key)));
  }

  /** Called with each key before it is used: to refuse, by throwing, those that the store cannot have. */
  protected checkKey(_key: string): void {}

  /** Called when the first waits for a result, and when nobody does any more. {@link look} is for what is heard meanwhile. */
  protected onWaiting(_waiting: boolean): void {}

  /** Called once, when the backend closes: the place to close a connection. */
  protected async onClose(): Promise<void> {}

  /** Has a task looked for at once, or all, as far as anybody waits: for stores that say when something changed. */
  protected look(taskId?: string): void {
    this.#poller.look(taskId);
  }

  protected get closed(): boolean {
    return this.#closed;
  }

  async storeResult(meta: TaskMeta): Promise<void> {
    const key = this.#taskKey(meta.task_id);
    const record = await this.#encode(meta);
    const before = await this.#get(key);
    if (before && (await this.#status(before, meta.task_id)) === "SUCCESS") return;
    const { expires, failureExpires } = this.options;
    const kept = meta.status === "FAILURE" ? (failureExpires ?? expires) : expires;
    await operational(this.url, () => this.set(key, record, Math.trunc(kept ?? 0)));
  }

  async getTaskMeta(taskId: string): Promise<TaskMeta> {
    const found = await this.#read(taskId, await this.#get(this.#taskKey(taskId)));
    return orThrow(found.meta);
  }

  async wait(taskId: string, signal: AbortSignal, onState?: (meta: TaskMeta) => void): Promise<TaskMeta> {
    if (this.#closed) throw new OperationalError("the result backend is closed");
    this.#taskKey(taskId);
    return this.#poller.wait(taskId, signal, onState);
  }

  async forget(taskId: string): Promise<void> {
    const key = this.#taskKey(taskId);
    await operational(this.url, () => this.delete(key));
  }

  async saveGroup(group: ResultNode): Promise<void> {
    const key = this.#groupKey(group.id);
    const record = await this.#encode({ result: asTuple(group) });
    await operational(this.url, () => this.set(key, record, Math.trunc(this.options.expires ?? 0)));
  }

  async restoreGroup(groupId: string): Promise<ResultNode | null> {
    const record = await this.#get(this.#groupKey(groupId));
    if (!record) return null;
    const value = await this.#decode(record);
    return isMapping(value) ? fromTuple(value.result) : null;
  }

  async deleteGroup(groupId: string): Promise<void> {
    const key = this.#groupKey(groupId);
    await operational(this.url, () => this.delete(key));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#poller.close(new OperationalError("the result backend was closed before the result came"));
    await this.onClose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The records of several tasks, in their order, to be handed on unchanged. @throws OperationalError, DecodeError */
  protected async forwarded(taskIds: readonly string[]): Promise<TaskMeta[]> {
    const values = await operational(this.url, () => this.mget(taskIds.map((taskId) => this.keys.task(taskId))));
    const { codec } = this.options;
    return Promise.all(
      taskIds.map(async (taskId, position) => {
        const record = bytesOf(values[position]);
        return record ? readMeta(codec.decodeForward(await codec.unpack(record)), taskId) : pendingMeta(taskId);
      }),
    );
  }

  #taskKey(taskId: string): string {
    return this.#checked(this.keys.task(taskId));
  }

  #groupKey(groupId: string): string {
    return this.#checked(this.keys.group(groupId));
  }

  #checked(key: string): string {
    this.checkKey(key);
    return key;
  }

  async #find(taskIds: readonly string[]): Promise<Found[]> {
    const values = await operational(this.url, () => this.mget(taskIds.map((taskId) => this.keys.task(taskId))));
    return Promise.all(taskIds.map((taskId, position) => this.#read(taskId, bytesOf(values[position]))));
  }

  async #get(key: string): Promise<Uint8Array | undefined> {
    return bytesOf(await operational(this.url, () => this.get(key)));
  }

  async #read(taskId: string, stored: Uint8Array | undefined): Promise<Found> {
    for (let attempt = 0, record = stored; ; attempt++) {
      if (!record) return { taskId, meta: pendingMeta(taskId) };
      try {
        return { taskId, meta: readMeta(await this.#decode(record), taskId) };
      } catch (error) {
        if (attempt >= this.rereads || error instanceof InflatedSizeExceeded) {
          // No serializer writes nothing: Python's backends take an empty value for none, too.
          return { taskId, meta: record.length === 0 ? pendingMeta(taskId) : (error as Error) };
        }
        await new Promise((resolve) => setTimeout(resolve, REREAD_MS));
        record = await this.#get(this.keys.task(taskId));
      }
    }
  }

  /** What cannot be read is no SUCCESS that would have to stay. */
  async #status(record: Uint8Array, taskId: string): Promise<string | undefined> {
    const { meta } = await this.#read(taskId, record);
    if (meta instanceof Error && !(meta instanceof DecodeError)) throw meta;
    return meta instanceof Error ? undefined : meta.status;
  }

  async #encode(value: unknown): Promise<Uint8Array> {
    const { codec } = this.options;
    return this.supportsResultCompression ? codec.pack(value) : codec.encode(value);
  }

  async #decode(record: Uint8Array): Promise<unknown> {
    const { codec } = this.options;
    return codec.decode(await codec.unpack(record));
  }
}

function orThrow(meta: TaskMeta | Error): TaskMeta {
  if (meta instanceof Error) throw meta;
  return meta;
}

function bytesOf(stored: StoredValue): Uint8Array | undefined {
  if (stored === null || stored === undefined) return undefined;
  return typeof stored === "string" ? utf8Encode(stored) : stored;
}
