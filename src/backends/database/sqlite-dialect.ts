import type { ColumnKind } from "../../../protocol/result/database-tables.ts";
import type { Dialect, SqlName } from "./database.ts";
import { changing, createTable, quoted, update } from "./sql-text.ts";
import { wallClock } from "./wall-clock.ts";

const TYPES: Readonly<Record<ColumnKind, string>> = {
  integer: "INTEGER",
  name: "VARCHAR(155)",
  state: "VARCHAR(50)",
  bytes: "BLOB",
  text: "TEXT",
  moment: "DATETIME",
  instant: "DATETIME",
};

/** SQLite from 3.24 on. Moments are text, as the clock shows them, without a zone. */
export const SQLITE: Dialect = {
  numbered: false,
  parameter: () => "?",
  quote,
  selected: (column) => column,
  moment: wallClock,
  columnsOf: ({ name }) => ({ text: "SELECT name, 1 AS automatic FROM pragma_table_info(?)", values: [name] }),
  create(table, name) {
    const own = quote(name);
    return [
      createTable(own, table, TYPES, "id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", []),
      `CREATE INDEX ${table.index} ON ${own} (date_done)`,
    ];
  },
  nextId: () => "NULL",
  // First the row that is there, so that no id is used up for it.
  upsert: (upsert) => [
    (value) => update(upsert, value, "status IS NOT 'SUCCESS'"),
    (value) => {
      const { table, key, columns, keepSuccess } = upsert;
      const all = [key, ...columns];
      return `INSERT INTO ${table} (${all.join(", ")}) VALUES (${all.map(value).join(", ")})
ON CONFLICT (${key}) DO UPDATE SET ${changing(upsert)
        .map((column) => `${column} = excluded.${column}`)
        .join(", ")}
${keepSuccess ? "WHERE status IS NOT 'SUCCESS'" : ""}`;
    },
  ],
  forUpdate: "",
};

function quote(name: SqlName): string {
  return quoted(name, '"');
}
