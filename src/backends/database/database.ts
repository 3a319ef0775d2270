import type { ColumnKind, DatabaseTable } from "../../../protocol/result/database-tables.ts";

/** Milliseconds after which a statement is given up, since its connection may be gone without a word. */
export const STATEMENT_MS = 30_000;

/** A value as the drivers take it. */
export type SqlValue = string | number | Uint8Array | readonly string[] | null;

/** What a statement came to. */
export interface SqlResult {
  rows: Record<string, unknown>[];
  /** How many rows it matched, for a statement that writes. */
  changed: number;
}

/**
 * What an error means: `again` when the same call may succeed in a moment (a connection was lost or refused, a lock
 * was in the way), `missing` when a table is not there, `value` when a value does not fit its column, `other` else.
 */
export type ErrorKind = "again" | "missing" | "value" | "other";

/** A name in a database. */
export interface SqlName {
  /** The connection's own unless given. */
  schema: string | null;
  name: string;
}

/** Writes one statement; `value` gives the placeholder for a column's value. */
export type Write = (value: (column: string) => string) => string;

/** What is stored where. */
export interface Upsert {
  /** The table, quoted. */
  table: string;
  /** The column that says what a row is of. */
  key: string;
  /** The others that are stored. */
  columns: readonly string[];
  /** Those of them that a row keeps from when it was new. */
  insertOnly: readonly string[];
  /** The expression for a new row's id; null where ids come by themselves. */
  nextId: string | null;
  /** True when a row whose status is SUCCESS is to stay as it is. */
  keepSuccess: boolean;
}

/** How one kind of database wants its SQL. */
export interface Dialect {
  /** Whether parameters have numbers, so that one can stand in two places, and can be lists. */
  readonly numbered: boolean;
  /** A placeholder. @param position from 1 on */
  parameter(position: number, kind: ColumnKind | "list"): string;
  quote(name: SqlName): string;
  /** A column in a select list; moments are given as ISO 8601 text. */
  selected(column: string, kind: ColumnKind): string;
  /** ISO 8601 text with an offset, as this database takes moments. */
  moment(iso: string): string;
  /** The statement for the columns of a table, or of a sequence: rows of `name`, and `automatic` for an id that comes by itself. */
  columnsOf(name: SqlName): { text: string; values: SqlValue[] };
  /** Statements that make a table and its index. */
  create(table: DatabaseTable, name: SqlName, sequences: boolean): string[];
  nextId(sequence: string): string;
  /** Statements that store a row, in the order in which they are tried until one changed something. */
  upsert(upsert: Upsert): Write[];
  /** What locks the rows of a SELECT at its end; nothing where a transaction that writes locks everything. */
  readonly forUpdate: string;
}

/**
 * Runs one statement, prepared unless sessions are short-lived.
 * @param unlimited true for a statement that may take longer than {@link STATEMENT_MS}
 * @throws the driver's error, see `Database.kindOf`
 */
export type RunSql = (text: string, values: readonly SqlValue[], unlimited?: boolean) => Promise<SqlResult>;

/** What runs statements, and the words that it takes: a database, or a transaction on one. */
export interface SqlRunner {
  readonly dialect: Dialect;
  run: RunSql;
}

/** A database and its connections, which are opened when first needed, and again when they broke. */
export interface Database extends SqlRunner {
  /**
   * Runs what `work` asks for in one transaction that may write: all of it, or nothing when it throws.
   * @throws as `run`, and what `work` throws
   */
  transaction<T>(work: (transaction: SqlRunner) => Promise<T>): Promise<T>;
  /** Runs statements one after another: all or none where the database can. @throws as `run` */
  runAll(texts: readonly string[]): Promise<void>;
  /** Whether SQLAlchemy takes ids from sequences on this server. @throws as `run` */
  hasSequences(): Promise<boolean>;
  kindOf(error: unknown): ErrorKind;
  close(): Promise<void>;
}
