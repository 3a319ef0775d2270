import { randomBytes } from "node:crypto";
import { readdir, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { byTurn, isQueueFileName, messageFile, queueOf } from "../../../protocol/transport/filesystem.ts";
import { OperationalError } from "../../app/errors.ts";

/** The messages of all queues, one file each, in one folder. */
export class QueueFolder {
  readonly path: string;
  #lastMs = 0;
  #sent = 0;
  #putting: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Adds a message. It is written under a name that no reader looks for, then renamed: nobody sees half of it.
   * @param file its name, for one that goes back to its old place; a new one at the end otherwise
   * @throws OperationalError for a queue whose name would lead out of the folder
   */
  async put(queue: string, text: string, file = this.#nextFile(queue)): Promise<void> {
    if (!isQueueFileName(queue)) {
      throw new OperationalError(`queue ${JSON.stringify(queue)} cannot be part of a file's name`);
    }
    // Without the queue's name: up to 5.6, kombu takes any file that has it somewhere before `.msg`.
    const scratch = join(this.path, `.${file.slice(0, file.indexOf("."))}.part`);
    const before = this.#putting;
    const put = (async () => {
      try {
        await writeFile(scratch, text);
        // Written side by side, shown one after the other: the first of a sender's messages is there first.
        await before;
        await rename(scratch, join(this.path, file));
      } catch (error) {
        await unlink(scratch).catch(() => undefined);
        throw error;
      }
    })();
    this.#putting = put.catch(() => undefined);
    return put;
  }

  /** Names of the files of these queues, in turn. */
  async list(queues: ReadonlySet<string>): Promise<string[]> {
    const files = await this.#files();
    return files
      .filter((file) => {
        const queue = queueOf(file);
        return queue !== undefined && queues.has(queue);
      })
      .sort(byTurn);
  }

  /** Removes a queue's messages, and says how many there were. */
  async purge(queue: string): Promise<number> {
    const files = await this.list(new Set([queue]));
    const removed = await Promise.allSettled(files.map((file) => unlink(join(this.path, file))));
    return removed.filter(({ status }) => status === "fulfilled").length;
  }

  async #files(): Promise<string[]> {
    try {
      return await readdir(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  /** Files of one process are in the order of their making also within a millisecond, where kombu leaves it to chance. */
  #nextFile(queue: string): string {
    const now = Number(process.hrtime.bigint() / 1_000_000n);
    if (now > this.#lastMs) [this.#lastMs, this.#sent] = [now, 0];
    const turn = (this.#sent++).toString(16).padStart(8, "0");
    const random = randomBytes(10).toString("hex");
    const unique = `${turn}-${random.slice(0, 4)}-4${random.slice(4, 7)}-a${random.slice(7, 10)}-${random.slice(8, 20)}`;
    return messageFile(this.#lastMs, unique, queue);
  }
}
