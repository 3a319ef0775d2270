import pg from "pg";
import type { BackendOptions } from "../backend.ts";
import {
  type Database,
  type ErrorKind,
  type RunSql,
  type SqlResult,
  type SqlRunner,
  type SqlValue,
  STATEMENT_MS,
} from "./database.ts";
import { engineOptions } from "./engine-options.ts";
import { POSTGRES } from "./postgres-dialect.ts";
import { postgresOptions } from "./postgres-options.ts";

/** SQLSTATEs after which the same call may succeed: connections, shutting down and starting up, deadlocks. */
const AGAIN = /^(?:08...|57P0[1-5]|53300|40001|40P01|55P03)$/;
/** "undefined table", which sequences are too. */
const MISSING = "42P01";

/** A PostgreSQL database, by way of `pg`. */
export class PostgresDatabase implements Database {
  readonly dialect = POSTGRES;
  readonly #pool: pg.Pool;
  readonly #prepares: boolean;
  /** Statements by the name that a connection knows them by. */
  readonly #names = new Map<string, string>();

  /** @throws ImproperlyConfigured */
  constructor(options: BackendOptions) {
    const engine = engineOptions(options.database.engineOptions, options.log);
    this.#pool = new pg.Pool(postgresOptions(options, engine));
    this.#prepares = !options.database.shortLivedSessions;
    // A connection that broke while it was idle; the next call has another.
    this.#pool.on("error", (error) => options.log.debug({ err: error }, `result backend: ${error.message}`));
  }

  run(text: string, values: readonly SqlValue[], unlimited = false): Promise<SqlResult> {
    return this.#run(this.#pool, text, values, unlimited);
  }

  transaction<T>(work: (transaction: SqlRunner) => Promise<T>): Promise<T> {
    return this.#connected(async (client) => {
      await client.query("BEGIN");
      const run: RunSql = (text, values, unlimited) => this.#run(client, text, values, unlimited);
      const result = await work({ dialect: this.dialect, run });
      await client.query("COMMIT");
      return result;
    });
  }

  async #run(
    on: pg.Pool | pg.PoolClient,
    text: string,
    values: readonly SqlValue[],
    unlimited = false,
  ): Promise<SqlResult> {
    const { rows, rowCount } = await on.query({
      text,
      values: [...values],
      ...(this.#prepares && { name: this.#nameOf(text) }),
      ...(!unlimited && { query_timeout: STATEMENT_MS }),
    });
    return { rows, changed: rowCount ?? 0 };
  }

  runAll(texts: readonly string[]): Promise<void> {
    // Several statements in one query are one transaction.
    return this.#connected(async (client) => void (await client.query(texts.join(";\n"))));
  }

  /** With a connection of its own, which is given up when anything went wrong; that ends its transaction as well. */
  async #connected<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    try {
      return await work(client);
    } catch (error) {
      broken = error as Error;
      throw error;
    } finally {
      client.release(broken);
    }
  }

  async hasSequences(): Promise<boolean> {
    return true;
  }

  kindOf(error: unknown): ErrorKind {
    const code = String((error as { code?: unknown }).code ?? "");
    if (AGAIN.test(code)) return "again";
    if (code === MISSING) return "missing";
    // Data exceptions.
    if (/^22...$/.test(code)) return "value";
    // What is no answer of the server's comes of the connection: ECONNREFUSED, EPIPE, or no code at all.
    return /^(?!E)[0-9A-Z]{5}$/.test(code) ? "other" : "again";
  }

  async close(): Promise<void> {
    if (!this.#pool.ending) await this.#pool.end();
  }

  #nameOf(text: string): string {
    const name = this.#names.get(text) ?? `celeriac_${this.#names.size}`;
    this.#names.set(text, name);
    return name;
  }
}
