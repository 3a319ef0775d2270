import { persistently } from "./attempts.ts";
import type { Database } from "./database.ts";

/** What a session works on. */
export interface SessionOptions<Tables> {
  /** The backend's URL, its password masked, for errors. */
  url: string;
  database: Database;
  /** Milliseconds that a call is tried for: as long as a connection may take to be made. */
  timeoutMs: number;
  /** Finds the tables. @throws the driver's error, or one that trying again does not help against */
  prepare(): Promise<Tables>;
}

/** Calls on tables, which are looked for when they are first needed, and again when they are not there any more. */
export class Session<Tables> {
  readonly #options: SessionOptions<Tables>;
  #tables: Promise<Tables> | undefined;
  #closed = false;

  constructor(options: SessionOptions<Tables>) {
    this.#options = options;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Makes a call, again and again while that may help. @throws OperationalError, EncodeError */
  run<T>(call: (tables: Tables) => Promise<T>): Promise<T> {
    const { url, timeoutMs, database } = this.#options;
    return persistently(
      {
        url,
        timeoutMs,
        kindOf: (error) => database.kindOf(error),
        onMissing: () => {
          this.#tables = undefined;
        },
        closed: () => this.#closed,
      },
      async () => call(await this.#prepared()),
    );
  }

  /** Closes the database too. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#tables?.catch(() => undefined);
    await this.#options.database.close();
  }

  #prepared(): Promise<Tables> {
    this.#tables ??= this.#options.prepare().catch((error) => {
      this.#tables = undefined;
      throw error;
    });
    return this.#tables;
  }
}
