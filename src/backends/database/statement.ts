import type { ColumnKind } from "../../../protocol/result/database-tables.ts";
import type { Dialect, SqlValue, Write } from "./database.ts";

/** A statement, and the columns whose values it takes, in order. */
export interface Statement {
  readonly text: string;
  readonly parameters: readonly string[];
}

/** @param kinds of the columns that `write` asks for */
export function statement(dialect: Dialect, kinds: Readonly<Record<string, ColumnKind>>, write: Write): Statement {
  const parameters: string[] = [];
  const text = write((column) => {
    const known = dialect.numbered ? parameters.indexOf(column) + 1 : 0;
    return dialect.parameter(known || parameters.push(column), kinds[column] ?? "name");
  });
  return { text, parameters };
}

/** The most keys that one SELECT asks for; SQLite takes 999 parameters at least. */
const CHUNK = 256;

/** SELECTs for rows by their keys. Few different texts, so that few statements are prepared. */
export function selects(
  dialect: Dialect,
  from: string,
  key: string,
  keys: readonly string[],
): { text: string; values: SqlValue[] }[] {
  if (dialect.numbered)
    return [{ text: `${from} WHERE ${key} = ANY(${dialect.parameter(1, "list")})`, values: [keys] }];
  const parts: { text: string; values: SqlValue[] }[] = [];
  for (let at = 0; at < keys.length; at += CHUNK) {
    const values = padded(keys.slice(at, at + CHUNK));
    parts.push({ text: `${from} WHERE ${key} IN (${values.map(() => "?").join(", ")})`, values });
  }
  return parts;
}

/** As many as the next power of four, the last one repeated. */
function padded(keys: readonly string[]): string[] {
  let count = 1;
  while (count < keys.length) count *= 4;
  return Array.from({ length: count }, (_, at) => keys[Math.min(at, keys.length - 1)] ?? "");
}
