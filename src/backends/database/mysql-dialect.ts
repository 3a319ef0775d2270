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
  instant: "DATETIME(6)",
};

/** MySQL and MariaDB. Moments are kept as the clock shows them, without a zone and in whole seconds. */
export const MYSQL: Dialect = {
  numbered: false,
  parameter: () => "?",
  quote,
  selected: (column) => column,
  moment: wallClock,
  columnsOf: ({ schema, name }) => ({
    text:
      "SELECT column_name AS name, extra = 'auto_increment' AS automatic FROM information_schema.columns " +
      "WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?",
    values: [schema, name],
  }),
  create(table, name, sequences) {
    const id = sequences ? "id INTEGER NOT NULL" : "id INTEGER NOT NULL AUTO_INCREMENT";
    const last = ["PRIMARY KEY (id)", `INDEX ${table.index} (date_done)`];
    return [createTable(quote(name), table, TYPES, id, last)];
  },
  nextId: (sequence) => `NEXTVAL(${sequence})`,
  // First the row that is there, so that no id is used up for it.
  upsert: (upsert) => [
    (value) => update(upsert, value, "(status IS NULL OR status <> 'SUCCESS')"),
    (value) => {
      const { table, key, columns, nextId, keepSuccess } = upsert;
      const all = [key, ...columns];
      const [ids, id] = nextId ? ["id, ", `${nextId}, `] : ["", ""];
      const kept = (column: string): string =>
        keepSuccess ? `IF(status = 'SUCCESS', ${column}, VALUES(${column}))` : `VALUES(${column})`;
      // Assignments take effect from left to right: the status, which they ask for, is the last.
      const ordered = changing(upsert).toSorted((one, other) => Number(one === "status") - Number(other === "status"));
      return `INSERT INTO ${table} (${ids}${all.join(", ")}) VALUES (${id}${all.map(value).join(", ")})
ON DUPLICATE KEY UPDATE ${ordered.map((column) => `${column} = ${kept(column)}`).join(", ")}`;
    },
  ],
  forUpdate: " FOR UPDATE",
};

function quote(name: SqlName): string {
  return quoted(name, "`");
}
