import { ImproperlyConfigured } from "../../app/errors.ts";
import { asBuffer } from "../../buffer.ts";
import type { BackendOptions } from "../backend.ts";
import type { Database, ErrorKind, RunSql, SqlResult, SqlRunner, SqlValue } from "./database.ts";
import { databaseUrl } from "./database-url.ts";
import { SQLITE } from "./sqlite-dialect.ts";
import { type OpenSqlite, type SqliteFile, type SqliteStatement, sqliteDriver } from "./sqlite-driver.ts";

/** "database is locked", "table is locked". */
const LOCKED = /\bSQLITE_(?:BUSY|LOCKED)|\bis locked\b/;

/**
 * A file that SQLite keeps. Statements run at once, on this thread; a lock that another process holds is not waited
 * for there, but tried again later.
 */
export class SqliteDatabase implements Database {
  readonly dialect = SQLITE;
  readonly #path: string;
  readonly #open: OpenSqlite;
  readonly #statements = new Map<string, SqliteStatement>();
  #file: SqliteFile | undefined;

  private constructor(path: string, open: OpenSqlite) {
    this.#path = path;
    this.#open = open;
  }

  /** @throws ImproperlyConfigured also when there is no driver */
  static async open({ url }: BackendOptions): Promise<SqliteDatabase> {
    const { database } = databaseUrl(url);
    if (!database || database === ":memory:") {
      throw new ImproperlyConfigured(
        "resultBackend db+sqlite:// needs a file: db+sqlite:///relative/path or db+sqlite:////absolute/path",
      );
    }
    return new SqliteDatabase(database, await sqliteDriver());
  }

  async run(text: string, values: readonly SqlValue[]): Promise<SqlResult> {
    return execute(this.#prepare(text), text, values);
  }

  /** On a connection of its own, so that nothing else that this process does meanwhile becomes a part of it. */
  async transaction<T>(work: (transaction: SqlRunner) => Promise<T>): Promise<T> {
    const file = opened(this.#open, this.#path);
    try {
      file.exec("BEGIN IMMEDIATE");
      const run: RunSql = async (text, values) => execute(file.prepare(text), text, values);
      const result = await work({ dialect: this.dialect, run });
      file.exec("COMMIT");
      return result;
    } finally {
      // Ends the transaction, unless it was ended.
      file.close();
    }
  }

  async runAll(texts: readonly string[]): Promise<void> {
    const file = this.#opened();
    file.exec("BEGIN IMMEDIATE");
    try {
      for (const text of texts) file.exec(text);
      file.exec("COMMIT");
    } catch (error) {
      file.exec("ROLLBACK");
      throw error;
    }
  }

  async hasSequences(): Promise<boolean> {
    return false;
  }

  kindOf(error: unknown): ErrorKind {
    const { code, message } = error as { code?: unknown; message?: unknown };
    if (LOCKED.test(`${code} ${message}`)) return "again";
    return /no such table/.test(String(message)) ? "missing" : "other";
  }

  async close(): Promise<void> {
    this.#statements.clear();
    this.#file?.close();
    this.#file = undefined;
  }

  #prepare(text: string): SqliteStatement {
    const known = this.#statements.get(text);
    if (known) return known;
    const statement = this.#opened().prepare(text);
    this.#statements.set(text, statement);
    return statement;
  }

  #opened(): SqliteFile {
    this.#file ??= opened(this.#open, this.#path);
    return this.#file;
  }
}

function opened(open: OpenSqlite, path: string): SqliteFile {
  const file = open(path);
  file.exec("PRAGMA busy_timeout = 0");
  return file;
}

function execute(statement: SqliteStatement, text: string, values: readonly SqlValue[]): SqlResult {
  const bound = values.map((value) => (value instanceof Uint8Array ? asBuffer(value) : value));
  if (text.startsWith("SELECT")) return { rows: statement.all(...bound) as Record<string, unknown>[], changed: 0 };
  return { rows: [], changed: Number(statement.run(...bound).changes) };
}
