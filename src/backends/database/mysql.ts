import type { Pool, PoolConnection, ResultSetHeader, RowDataPacket } from "mysql2/promise";
import { asBuffer } from "../../buffer.ts";
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
import { MYSQL } from "./mysql-dialect.ts";
import { mysqlOptions } from "./mysql-options.ts";
import { optionalDriver } from "./optional-driver.ts";

/** Deadlocks, lock waits, too many connections, shutting down. */
const AGAIN = new Set([1040, 1053, 1205, 1213, 1927, 3024]);
const MISSING = new Set([1146, 4091]);
/** Too long, out of range, text that the column's character set does not have, a packet too big. */
const VALUE = new Set([1153, 1264, 1366, 1406]);

/** A MySQL or MariaDB database, by way of `mysql2`, which the application installs. */
export class MysqlDatabase implements Database {
  readonly dialect = MYSQL;
  readonly #pool: Pool;
  readonly #prepares: boolean;
  #closed: Promise<void> | undefined;

  private constructor(pool: Pool, prepares: boolean) {
    this.#pool = pool;
    this.#prepares = prepares;
    // Values that do not fit are refused on every connection, not cut short.
    pool.pool.on("connection", (connection) => {
      connection.query("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')", () => undefined);
    });
  }

  /** @throws ImproperlyConfigured also when the driver is not installed */
  static async open(options: BackendOptions): Promise<MysqlDatabase> {
    const driver = await optionalDriver(() => import("mysql2/promise"), "db+mysql", "npm install mysql2");
    const engine = engineOptions(options.database.engineOptions, options.log);
    return new MysqlDatabase(driver.createPool(mysqlOptions(options, engine)), !options.database.shortLivedSessions);
  }

  run(text: string, values: readonly SqlValue[], unlimited = false): Promise<SqlResult> {
    return this.#connected((connection) => this.#run(connection, text, values, unlimited));
  }

  transaction<T>(work: (transaction: SqlRunner) => Promise<T>): Promise<T> {
    return this.#connected(async (connection) => {
      const run: RunSql = (text, values, unlimited) => this.#run(connection, text, values, unlimited);
      await connection.beginTransaction();
      try {
        const result = await work({ dialect: this.dialect, run });
        await connection.commit();
        return result;
      } catch (error) {
        await connection.rollback().catch(() => connection.destroy());
        throw error;
      }
    });
  }

  async #run(
    connection: PoolConnection,
    text: string,
    values: readonly SqlValue[],
    unlimited = false,
  ): Promise<SqlResult> {
    const query = {
      sql: text,
      values: values.map((value) => (value instanceof Uint8Array ? asBuffer(value) : value)),
      ...(!unlimited && { timeout: STATEMENT_MS }),
    };
    const [result] = this.#prepares
      ? await connection.execute<RowDataPacket[] | ResultSetHeader>(query)
      : await connection.query<RowDataPacket[] | ResultSetHeader>(query);
    return Array.isArray(result) ? { rows: result, changed: 0 } : { rows: [], changed: result.affectedRows };
  }

  /** Each for itself: MySQL ends a transaction where a table is made. */
  runAll(texts: readonly string[]): Promise<void> {
    return this.#connected(async (connection) => {
      for (const text of texts) await connection.query(text);
    });
  }

  /** MariaDB has sequences from 10.3 on; MySQL has none. */
  async hasSequences(): Promise<boolean> {
    const { rows } = await this.run("SELECT VERSION() AS version", []);
    const version = String(rows[0]?.version);
    const [major = 0, minor = 0] = version.split(".").map(Number);
    return /mariadb/i.test(version) && (major > 10 || (major === 10 && minor >= 3));
  }

  kindOf(error: unknown): ErrorKind {
    const { errno = 0 } = error as { errno?: number };
    // The driver's own errors, and the system's, have no number of the server's.
    if (errno < 1000 || AGAIN.has(errno)) return "again";
    if (MISSING.has(errno)) return "missing";
    return VALUE.has(errno) ? "value" : "other";
  }

  close(): Promise<void> {
    this.#closed ??= this.#pool.end();
    return this.#closed;
  }

  async #connected<T>(work: (connection: PoolConnection) => Promise<T>): Promise<T> {
    const connection = await this.#pool.getConnection();
    let reusable = false;
    try {
      const result = await work(connection);
      reusable = this.#prepares;
      return result;
    } catch (error) {
      // An answer of the server's leaves the connection as it was; after anything else nobody knows.
      reusable = this.#prepares && ((error as { errno?: number }).errno ?? 0) >= 1000;
      throw error;
    } finally {
      if (reusable) connection.release();
      else connection.destroy();
    }
  }
}
