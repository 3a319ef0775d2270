import { readFileSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { z } from "zod";
import type { LamportClock } from "../app/clock.ts";
import { ImproperlyConfigured } from "../app/errors.ts";
import type { Logger } from "../logger.ts";
import type { WorkerState } from "./state.ts";

/** What the file holds; the oldest revoked task comes first. */
const schema = z.object({
  celeriac: z.literal(1),
  clock: z.number(),
  revoked: z.array(z.string()),
  stamps: z.record(z.string(), z.array(z.unknown())),
});

/** How long changes are collected before they are written, in milliseconds. */
const PAUSE_MS = 500;

/**
 * The file in which a worker keeps its revoked tasks and its clock between two runs. It is written soon after each
 * change, since a worker may be killed, and replaced as a whole. Python keeps the same in a shelve, which only Python
 * can read. Mirrors `celery/worker/state.py Persistent`.
 */
export class StateDb {
  readonly #path: string;
  readonly #state: WorkerState;
  readonly #clock: LamportClock;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string, state: WorkerState, clock: LamportClock, log: Logger) {
    this.#path = path;
    this.#state = state;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Takes over what the file holds, if there is one, and follows the changes from now on.
   * @throws ImproperlyConfigured when the file is something else
   */
  open(): void {
    const saved = this.#read();
    if (saved) {
      this.#state.mergeRevoked(saved.revoked);
      for (const [header, stamps] of Object.entries(saved.stamps)) this.#state.revokeStamps(header, stamps);
      this.#clock.adjust(saved.clock);
    }
    this.#state.onRevoked = () => this.#schedule();
  }

  /** Writes it a last time. */
  async close(): Promise<void> {
    this.#state.onRevoked = undefined;
    clearTimeout(this.#timer);
    await this.#save();
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#save();
    }, PAUSE_MS);
  }

  #save(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      try {
        await this.#write();
      } catch (error) {
        this.#log.error({ err: error, path: this.#path }, `Could not write the state db: ${(error as Error).message}`);
      }
    });
    return this.#writing;
  }

  /** A reader sees the old file or the new one, and nothing between. */
  async #write(): Promise<void> {
    const { revoked, revokedStamps } = this.#state;
    revoked.purge();
    const text = JSON.stringify({
      celeriac: 1,
      clock: this.#clock.forward(),
      revoked: revoked.ids(),
      stamps: Object.fromEntries(Array.from(revokedStamps, ([header, stamps]) => [header, [...stamps]])),
    });
    const temporary = `${this.#path}.${process.pid}.tmp`;
    const file = await open(temporary, "w", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.#path).catch(async (error: unknown) => {
      await rm(temporary, { force: true });
      throw error;
    });
  }

  #read(): z.output<typeof schema> | undefined {
    let text: string;
    try {
      text = readFileSync(this.#path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw new ImproperlyConfigured(`state db ${this.#path}: ${(error as Error).message}`, { cause: error });
    }
    try {
      return schema.parse(JSON.parse(text));
    } catch (error) {
      throw new ImproperlyConfigured(
        `state db ${this.#path} is not one of celeriac's: a Python worker needs a file of its own`,
        { cause: error },
      );
    }
  }
}
