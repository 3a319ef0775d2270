import type { SqlRunner, SqlValue } from "./database.ts";
import { type Statement, selects, statement } from "./statement.ts";
import type { FoundTable } from "./tables.ts";

/** The columns of a row by name, moments as ISO 8601 text. */
export type Row = Record<string, unknown>;

/** A table, and the statements on it. Every method throws the driver's error. */
export class ResultTable {
  readonly #database: SqlRunner;
  readonly #found: FoundTable;
  readonly #from: string;
  readonly #upserts = new Map<string, Statement[]>();

  constructor(database: SqlRunner, found: FoundTable) {
    this.#database = database;
    this.#found = found;
    const { columns: kinds } = found.table;
    const list = [...found.columns].map((column) => database.dialect.selected(column, kinds[column] ?? "name"));
    this.#from = `SELECT ${list.join(", ")} FROM ${found.quoted}`;
  }

  /** The same table within a transaction. */
  within(transaction: SqlRunner): ResultTable {
    return new ResultTable(transaction, this.#found);
  }

  /** The row with this key, which nobody else changes before the transaction ends; undefined when there is none. */
  async locked(key: string): Promise<Row | undefined> {
    const { dialect } = this.#database;
    const text = `${this.#from} WHERE ${this.#found.table.key} = ${dialect.parameter(1, "name")}${dialect.forUpdate}`;
    return (await this.#database.run(text, [key])).rows[0];
  }

  /** The rows with these keys that are there, in no order. */
  async select(keys: readonly string[]): Promise<Row[]> {
    const rows: Row[] = [];
    for (const { text, values } of selects(this.#database.dialect, this.#from, this.#found.table.key, keys)) {
      rows.push(...(await this.#database.run(text, values)).rows);
    }
    return rows;
  }

  /**
   * Stores a row, unless one whose status is SUCCESS is there. Columns that this table does not have are left out.
   * @param insertOnly columns that a row which is there keeps as they are
   */
  async store(row: Readonly<Row>, insertOnly: readonly string[] = []): Promise<void> {
    const columns = Object.keys(row).filter((column) => this.#found.columns.has(column));
    for (const { text, parameters } of this.#upsert(columns, insertOnly)) {
      const values = parameters.map((column) => this.#value(column, row[column]));
      if ((await this.#database.run(text, values)).changed > 0) return;
    }
  }

  async delete(key: string): Promise<void> {
    const { quoted, table } = this.#found;
    const placeholder = this.#database.dialect.parameter(1, "name");
    await this.#database.run(`DELETE FROM ${quoted} WHERE ${table.key} = ${placeholder}`, [key]);
  }

  /** Drops the rows that were done before a moment. @param iso with an offset */
  async deleteBefore(iso: string): Promise<void> {
    const { dialect } = this.#database;
    const text = `DELETE FROM ${this.#found.quoted} WHERE date_done < ${dialect.parameter(1, "moment")}`;
    await this.#database.run(text, [dialect.moment(iso)], true);
  }

  #upsert(present: readonly string[], insertOnly: readonly string[]): Statement[] {
    const name = present.join();
    const known = this.#upserts.get(name);
    if (known) return known;
    const { table, quoted, nextId } = this.#found;
    const { dialect } = this.#database;
    const columns = present.filter((column) => column !== table.key);
    const keepSuccess = columns.includes("status");
    const made = dialect
      .upsert({ table: quoted, key: table.key, columns, insertOnly, nextId, keepSuccess })
      .map((write) => statement(dialect, table.columns, write));
    this.#upserts.set(name, made);
    return made;
  }

  #value(column: string, value: unknown): SqlValue {
    const kind = this.#found.table.columns[column];
    const isMoment = kind === "moment" || kind === "instant";
    return isMoment && typeof value === "string" ? this.#database.dialect.moment(value) : ((value ?? null) as SqlValue);
  }
}
