import { randomUUID } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { mkdir, readdir, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ImproperlyConfigured, OperationalError } from "../app/errors.ts";
import type { BackendOptions } from "./backend.ts";
import { KeyValueBackend } from "./key-value.ts";

/** The longest pause between two looks, in case that the system's word did not come through, in milliseconds. */
const LOOK_MS = 1_000;
const BLIND_LOOK_MS = 100;

/** How often to drop results that have expired, in milliseconds. */
const CLEANUP_MS = 3_600_000;

/** A file for each result, shared with Python. Mirrors `celery/backends/filesystem.py`. */
export class FilesystemBackend extends KeyValueBackend {
  override readonly supportsResultCompression = true;
  /** Python writes in place: a record that ends too early may just not be done. */
  protected override readonly rereads = 20;
  readonly #folder: string;
  #ready: Promise<void> | undefined;
  #waiting = false;
  #watcher: FSWatcher | undefined;
  #blind: NodeJS.Timeout | undefined;
  #cleanup: NodeJS.Timeout | undefined;

  /** @throws ImproperlyConfigured when the URL names no folder */
  constructor(options: BackendOptions) {
    super(options, LOOK_MS);
    this.#folder = folderOf(options.url);
  }

  /** @throws OperationalError for an id that would lead out of the folder */
  protected override checkKey(key: string): void {
    if (/[/\\\0]/.test(key)) {
      throw new OperationalError(`${this.url}: a file cannot be called ${JSON.stringify(key)}`);
    }
  }

  protected async get(key: string): Promise<Uint8Array | undefined> {
    return readFile(this.#path(key)).catch(ignoreMissing);
  }

  /** Written aside and renamed: nobody reads half of it. */
  protected async set(key: string, record: Uint8Array): Promise<void> {
    const path = this.#path(key);
    await this.#open();
    const scratch = join(this.#folder, `.${key}.${randomUUID()}`);
    try {
      await writeFile(scratch, record);
      await rename(scratch, path);
    } catch (error) {
      await unlink(scratch).catch(ignoreMissing);
      throw error;
    }
  }

  protected async delete(key: string): Promise<void> {
    await unlink(this.#path(key)).catch(ignoreMissing);
  }

  /** Files have no expiry of their own: drops those that were not written since. */
  async cleanup(now: Date = new Date()): Promise<void> {
    const { expires } = this.options;
    if (!expires) return;
    const oldest = now.getTime() - expires * 1000;
    const prefixes = [this.keys.task(""), this.keys.group(""), this.keys.chord("")];
    for (const file of await readdir(this.#folder).catch(() => [])) {
      if (!prefixes.some((prefix) => file.startsWith(prefix))) continue;
      const path = join(this.#folder, file);
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
      if (mtimeMs < oldest) await unlink(path).catch(() => undefined);
    }
  }

  protected override async onClose(): Promise<void> {
    clearInterval(this.#cleanup);
  }

  /** The system says when a result comes, as long as somebody waits. */
  protected override onWaiting(waiting: boolean): void {
    this.#waiting = waiting;
    if (!waiting) {
      this.#watcher?.close();
      this.#watcher = undefined;
      clearInterval(this.#blind);
      this.#blind = undefined;
      return;
    }
    this.#open().then(
      () => this.#watch(),
      // A look says why.
      () => undefined,
    );
  }

  #path(key: string): string {
    return join(this.#folder, key);
  }

  #watch(): void {
    if (this.#watcher || !this.#waiting) return;
    const prefix = this.keys.task("");
    try {
      this.#watcher = watch(this.#folder, (_, file) => {
        if (file?.startsWith(prefix)) this.look(file.slice(prefix.length));
      });
      this.#watcher.on("error", () => this.#lookOften());
      // What came before the watch began.
      this.look();
    } catch {
      this.#lookOften();
    }
  }

  #lookOften(): void {
    this.#blind ??= setInterval(() => this.look(), BLIND_LOOK_MS);
  }

  /**
   * Makes the folder when it is missing. From then on what has expired is dropped: Celery leaves that to the task
   * `celery.backend_cleanup`, which needs beat; files would otherwise stay for ever.
   */
  #open(): Promise<void> {
    this.#ready ??= mkdir(this.#folder, { recursive: true }).then(
      () => {
        if (this.closed) return;
        this.#cleanup = setInterval(() => void this.cleanup(), CLEANUP_MS);
        this.#cleanup.unref();
      },
      (error: Error) => {
        this.#ready = undefined;
        throw error;
      },
    );
    return this.#ready;
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
