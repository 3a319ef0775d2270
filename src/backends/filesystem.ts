import { randomUUID } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { mkdir, readdir, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isMapping } from "../../protocol/message/headers.ts";
import { resultKeys } from "../../protocol/result/keys.ts";
import { pendingMeta, readMeta, type TaskMeta } from "../../protocol/result/meta.ts";
import { asTuple, fromTuple, type ResultNode } from "../../protocol/result/result-tuple.ts";
import { ImproperlyConfigured, InflatedSizeExceeded, OperationalError } from "../app/errors.ts";
import type { BackendOptions, ResultBackend } from "./backend.ts";
import { Waiters } from "./waiters.ts";

/** A look in case that the system's word did not come through, in milliseconds. */
const LOOK_MS = 1_000;
const BLIND_LOOK_MS = 100;

/** How often to drop results that have expired, in milliseconds. */
const CLEANUP_MS = 3_600_000;

/** A file for each result, shared with Python. Mirrors `celery/backends/filesystem.py`. */
export class FilesystemBackend implements ResultBackend {
  readonly persistent = true;
  readonly supportsResultCompression = true;
  /** Left to `celery.chord_unlock`, as in Celery. */
  readonly chords = undefined;
  readonly url: string;
  readonly #options: BackendOptions;
  readonly #folder: string;
  readonly #keys = resultKeys();
  readonly #waiters: Waiters;
  #ready: Promise<void> | undefined;
  #watcher: FSWatcher | undefined;
  #looks: NodeJS.Timeout | undefined;
  #cleanup: NodeJS.Timeout | undefined;
  #closed = false;

  /** @throws ImproperlyConfigured when the URL names no folder */
  constructor(options: BackendOptions) {
    this.url = options.url;
    this.#options = options;
    this.#folder = folderOf(options.url);
    this.#waiters = new Waiters(
      (taskId) => this.#watch(taskId),
      () => this.#unwatch(),
    );
  }

  async storeResult(meta: TaskMeta): Promise<void> {
    const record = await this.#options.codec.pack(meta);
    await this.#open();
    const key = this.#keys.task(meta.task_id);
    const before = await this.#read(meta.task_id);
    if (before.status !== "SUCCESS") await this.#write(key, record);
  }

  async getTaskMeta(taskId: string): Promise<TaskMeta> {
    await this.#open();
    return this.#read(taskId);
  }

  wait(taskId: string, signal: AbortSignal, onState?: (meta: TaskMeta) => void): Promise<TaskMeta> {
    if (this.#closed) return Promise.reject(new OperationalError("the result backend is closed"));
    const waiting = this.#waiters.wait(taskId, signal, onState);
    void this.#look(taskId);
    return waiting;
  }

  async forget(taskId: string): Promise<void> {
    await unlink(join(this.#folder, this.#keys.task(taskId))).catch(ignoreMissing);
  }

  async saveGroup(group: ResultNode): Promise<void> {
    await this.#open();
    await this.#write(this.#keys.group(group.id), await this.#options.codec.pack({ result: asTuple(group) }));
  }

  async restoreGroup(groupId: string): Promise<ResultNode | null> {
    const record = await this.#get(this.#keys.group(groupId));
    if (!record) return null;
    const value = this.#options.codec.decode(await this.#options.codec.unpack(record));
    return isMapping(value) ? fromTuple(value.result) : null;
  }

  async deleteGroup(groupId: string): Promise<void> {
    await unlink(join(this.#folder, this.#keys.group(groupId))).catch(ignoreMissing);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiters.failAll(new OperationalError("the result backend was closed before the result came"));
    clearInterval(this.#cleanup);
    this.#unwatch();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Makes the folder when it is missing. @throws OperationalError when it cannot be made */
  #open(): Promise<void> {
    this.#ready ??= mkdir(this.#folder, { recursive: true }).then(
      () => {
        this.#cleanup = setInterval(() => void this.#dropExpired(), CLEANUP_MS);
        this.#cleanup.unref();
      },
      (error: Error) => {
        this.#ready = undefined;
        throw new OperationalError(`Cannot use ${this.url} for results: ${error.message}`, { cause: error });
      },
    );
    return this.#ready;
  }

  /** Written aside and renamed: nobody reads half of it. */
  async #write(key: string, record: Uint8Array): Promise<void> {
    const scratch = join(this.#folder, `.${key}.${randomUUID()}`);
    try {
      await writeFile(scratch, record);
      await rename(scratch, join(this.#folder, key));
    } catch (error) {
      await unlink(scratch).catch(ignoreMissing);
      throw new OperationalError(`Cannot write to ${this.url}: ${(error as Error).message}`, { cause: error });
    }
  }

  async #get(key: string): Promise<Uint8Array | undefined> {
    return readFile(join(this.#folder, key)).catch(ignoreMissing);
  }

  /** Python writes in place: a record that ends too early may just not be done. */
  async #read(taskId: string): Promise<TaskMeta> {
    for (let attempt = 1; ; attempt++) {
      const record = await this.#get(this.#keys.task(taskId));
      if (!record) return pendingMeta(taskId);
      try {
        return readMeta(this.#options.codec.decode(await this.#options.codec.unpack(record)), taskId);
      } catch (error) {
        if (attempt === 20 || error instanceof InflatedSizeExceeded) throw error;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  async #look(taskId: string): Promise<void> {
    try {
      const meta = await this.#read(taskId);
      if (meta.status !== "PENDING") this.#waiters.tell(meta);
    } catch (error) {
      this.#waiters.fail(taskId, error as Error);
    }
  }

  #lookForAll(): void {
    for (const taskId of this.#waiters.taskIds) void this.#look(taskId);
  }

  /** The system says when a result comes, as long as somebody waits. */
  #watch(taskId: string): void {
    if (this.#looks) return;
    const prefix = this.#keys.task("");
    this.#looks = setInterval(() => this.#lookForAll(), LOOK_MS);
    this.#open().then(
      () => {
        if (this.#closed || this.#watcher || !this.#looks) return;
        try {
          this.#watcher = watch(this.#folder, (_, file) => {
            if (!file?.startsWith(prefix)) return;
            const changed = file.slice(prefix.length);
            if (this.#waiters.has(changed)) void this.#look(changed);
          });
          this.#watcher.on("error", () => this.#lookOften());
          // What came before the watch began.
          this.#lookForAll();
        } catch {
          this.#lookOften();
        }
      },
      (error: Error) => this.#waiters.fail(taskId, error),
    );
  }

  #lookOften(): void {
    clearInterval(this.#looks);
    this.#looks = setInterval(() => this.#lookForAll(), BLIND_LOOK_MS);
  }

  #unwatch(): void {
    if (this.#waiters.taskIds.length > 0) return;
    clearInterval(this.#looks);
    this.#looks = undefined;
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  /** Celery leaves this to the task `celery.backend_cleanup`, which needs beat; files would otherwise stay for ever. */
  async #dropExpired(): Promise<void> {
    const { expires } = this.#options;
    if (!expires) return;
    const oldest = Date.now() - expires * 1000;
    for (const file of await readdir(this.#folder).catch(() => [])) {
      if (!/^(celery-task-meta-|celery-taskset-meta-|chord-unlock-)/.test(file)) continue;
      const path = join(this.#folder, file);
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
      if (mtimeMs < oldest) await unlink(path).catch(() => undefined);
    }
  }
}

/** `file:///path` and `file://localhost/path`. @throws ImproperlyConfigured */
function folderOf(url: string): string {
  const path = /^file:\/\/(?:localhost(?=\/))?(.+)$/.exec(url)?.[1];
  if (path) return path;
  throw new ImproperlyConfigured(
    `resultBackend cannot be ${JSON.stringify(url)}: a folder reads file:///path/to/folder`,
  );
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}
