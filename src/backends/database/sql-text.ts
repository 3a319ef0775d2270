import type { ColumnKind, DatabaseTable } from "../../../protocol/result/database-tables.ts";
import type { SqlName, Upsert } from "./database.ts";

/** A name between quotation marks of this kind, after its schema where it has one. */
export function quoted({ schema, name }: SqlName, mark: string): string {
  const parts = schema === null ? [name] : [schema, name];
  return parts.map((part) => mark + part.replaceAll(mark, mark + mark) + mark).join(".");
}

/**
 * CREATE TABLE as SQLAlchemy has it.
 * @param id the column of ids
 * @param last what follows the columns
 */
export function createTable(
  name: string,
  table: DatabaseTable,
  types: Readonly<Record<ColumnKind, string>>,
  id: string,
  last: readonly string[],
): string {
  const columns = Object.entries(table.columns).map(([column, kind]) => `${column} ${types[kind]}`);
  return `CREATE TABLE ${name} (${[id, ...columns, ...last, `UNIQUE (${table.key})`].join(", ")})`;
}

/**
 * UPDATE of the row that is there.
 * @param value the placeholder of a column's value
 * @param notSuccess the condition that its status is not SUCCESS
 */
export function update(upsert: Upsert, value: (column: string) => string, notSuccess: string): string {
  const { table, key, keepSuccess } = upsert;
  const assignments = changing(upsert)
    .map((column) => `${column} = ${value(column)}`)
    .join(", ");
  return `UPDATE ${table} SET ${assignments} WHERE ${key} = ${value(key)}${keepSuccess ? ` AND ${notSuccess}` : ""}`;
}

/** The columns that are written where the row is there. */
export function changing({ columns, insertOnly }: Upsert): string[] {
  return columns.filter((column) => !insertOnly.includes(column));
}
