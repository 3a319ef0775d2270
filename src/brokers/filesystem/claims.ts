import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, unlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import { queueOf } from "../../../protocol/transport/filesystem.ts";
import { markRedelivered } from "../../../protocol/transport/virtual.ts";
import type { Logger } from "../../logger.ts";
import { lock } from "./file-lock.ts";
import type { QueueFolder } from "./queue-folder.ts";

/** Below the queues' folder: Python does not look into folders. */
const CLAIMED = ".celeriac-claimed";
const LOCK = "owner.lock";

/** How often to look for claims whose owner is gone, and to show that we are not, in milliseconds. */
const SWEEP_MS = 3_000;
/** Where locks cannot be had: an owner that has not shown itself for so long is gone, in milliseconds. */
const SILENT_MS = 30_000;

/**
 * Messages taken and not yet settled. kombu forgets a message once it is taken; here its file is moved to a folder of the
 * process, and moved back when that process is gone.
 */
export class Claims {
  readonly #queues: QueueFolder;
  readonly #processed: string | undefined;
  readonly #log: Logger;
  readonly #all: string;
  readonly #own: string;
  #lockFile: FileHandle | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(queues: QueueFolder, processed: string | undefined, log: Logger) {
    this.#queues = queues;
    this.#processed = processed;
    this.#log = log;
    this.#all = join(queues.path, CLAIMED);
    this.#own = join(this.#all, randomUUID());
  }

  /** Makes the process's folder, and takes care of those that others left behind, now and from time to time. */
  async open(): Promise<void> {
    if (this.#timer) return;
    this.#timer = setInterval(() => void this.#upkeep(), SWEEP_MS);
    this.#timer.unref();
    await mkdir(this.#own, { recursive: true });
    this.#lockFile = await open(join(this.#own, LOCK), "w");
    await lock(this.#lockFile, 0);
    await this.#upkeep();
  }

  /**
   * Takes a message.
   * @returns its text; undefined when somebody else was faster
   */
  async take(file: string): Promise<string | undefined> {
    const claimed = join(this.#own, file);
    try {
      await rename(join(this.#queues.path, file), claimed);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    return await readWhole(claimed);
  }

  /** The message is done with. */
  async drop(file: string): Promise<void> {
    const claimed = join(this.#own, file);
    if (this.#processed === undefined) await unlink(claimed).catch(ignoreMissing);
    else await rename(claimed, join(this.#processed, file)).catch(ignoreMissing);
  }

  /** Puts the message back: at its old place, or at the end. */
  async putBack(file: string, where: "first" | "last"): Promise<void> {
    await this.#restore(join(this.#own, file), file, where);
  }

  /** Moves what is no message out of the way, for somebody to look at. */
  async setAside(file: string): Promise<void> {
    const folder = join(this.#queues.path, ".celeriac-unreadable");
    await mkdir(folder, { recursive: true });
    await rename(join(this.#own, file), join(folder, file)).catch(ignoreMissing);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    if (!this.#lockFile) return;
    await this.#restoreAll(this.#own);
    await this.#lockFile.close();
    this.#lockFile = undefined;
    await rm(this.#own, { recursive: true, force: true });
  }

  async #upkeep(): Promise<void> {
    try {
      const now = new Date();
      await utimes(this.#own, now, now).catch(() => undefined);
      for (const owner of await readdir(this.#all)) {
        const folder = join(this.#all, owner);
        if (folder !== this.#own) await this.#restoreIfLeft(folder);
      }
    } catch (error) {
      this.#log.warn(
        { err: error },
        `Could not look for messages of workers that are gone: ${(error as Error).message}`,
      );
    }
  }

  async #restoreIfLeft(folder: string): Promise<void> {
    const file = await open(join(folder, LOCK), "r").catch(() => undefined);
    try {
      const outcome = file ? await lock(file, 0) : "unavailable";
      if (outcome === "taken") return;
      if (outcome === "unavailable" && Date.now() - (await stat(folder)).mtimeMs < SILENT_MS) return;
      const count = await this.#restoreAll(folder);
      await rm(folder, { recursive: true, force: true });
      if (count > 0) this.#log.warn({ count }, `Restored ${count} message(s) of a worker that is gone`);
    } catch (error) {
      // Somebody else restored them meanwhile.
      ignoreMissing(error as NodeJS.ErrnoException);
    } finally {
      await file?.close();
    }
  }

  async #restoreAll(folder: string): Promise<number> {
    const files = (await readdir(folder)).filter((file) => queueOf(file) !== undefined);
    for (const file of files) await this.#restore(join(folder, file), file, "first");
    return files.length;
  }

  async #restore(claimed: string, file: string, where: "first" | "last"): Promise<void> {
    const queue = queueOf(file);
    const text = await readFile(claimed, "utf8").catch(ignoreMissing);
    if (queue === undefined || text === undefined) return;
    await this.#queues.put(queue, marked(text), ...(where === "first" ? [file] : []));
    await unlink(claimed).catch(ignoreMissing);
  }
}

/** What cannot be read goes back as it is. */
function marked(text: string): string {
  try {
    return markRedelivered(text);
  } catch {
    return text;
  }
}

/** Python writes a file in place: one that ends too early may just not be done. */
async function readWhole(path: string): Promise<string> {
  let text = "";
  for (let read = 0; read < 40; read++) {
    text = await readFile(path, "utf8");
    if (text.trimEnd().endsWith("}")) return text;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return text;
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}
