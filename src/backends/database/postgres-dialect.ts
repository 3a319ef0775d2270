import type { ColumnKind } from "../../../protocol/result/database-tables.ts";
import type { Dialect, SqlName } from "./database.ts";
import { changing, createTable, quoted, update } from "./sql-text.ts";

const TYPES: Readonly<Record<ColumnKind, string>> = {
  integer: "INTEGER",
  name: "VARCHAR(155)",
  state: "VARCHAR(50)",
  bytes: "BYTEA",
  text: "TEXT",
  moment: "TIMESTAMP WITHOUT TIME ZONE",
  instant: "TIMESTAMP WITH TIME ZONE",
};

/** As what parameters are sent: a length is the column's to refuse, and a moment says where on the clock it is. */
const CASTS: Readonly<Record<ColumnKind | "list", string>> = {
  integer: "integer",
  name: "varchar",
  state: "varchar",
  bytes: "bytea",
  text: "text",
  moment: "timestamptz",
  instant: "timestamptz",
  list: "varchar[]",
};

/**
 * PostgreSQL. A moment is kept without a zone, by the clock of the session's time zone: what writes it with a zone
 * (psycopg, and this) has it converted, so reading converts it back.
 */
export const POSTGRES: Dialect = {
  numbered: true,
  parameter: (position, kind) => `$${position}::${CASTS[kind]}`,
  quote,
  selected(column, kind) {
    if (kind !== "moment" && kind !== "instant") return column;
    const own = kind === "moment" ? " AT TIME ZONE current_setting('TimeZone')" : "";
    const utc = `${column}${own} AT TIME ZONE 'UTC'`;
    return `to_char(${utc}, 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS ${column}`;
  },
  moment: (iso) => iso,
  columnsOf: (name) => ({
    text:
      "SELECT attname AS name, false AS automatic FROM pg_attribute " +
      "WHERE attrelid = to_regclass($1::text) AND attnum > 0 AND NOT attisdropped",
    values: [quote(name)],
  }),
  create(table, name) {
    const own = quote(name);
    return [
      createTable(own, table, TYPES, "id INTEGER NOT NULL", ["PRIMARY KEY (id)"]),
      `CREATE INDEX ${table.index} ON ${own} (date_done)`,
    ];
  },
  nextId: (sequence) => `nextval('${sequence.replaceAll("'", "''")}')`,
  // One statement, and an id is taken from the sequence only for a row that is new.
  upsert: (upsert) => [
    (value) => {
      const { table, key, columns, nextId, keepSuccess } = upsert;
      const all = [key, ...columns];
      const [ids, id] = nextId ? ["id, ", `${nextId}, `] : ["", ""];
      return `WITH changed AS (${update(upsert, value, "status IS DISTINCT FROM 'SUCCESS'")} RETURNING 1)
INSERT INTO ${table} AS kept (${ids}${all.join(", ")})
SELECT ${id}${all.map(value).join(", ")}
WHERE NOT EXISTS (SELECT 1 FROM changed) AND NOT EXISTS (SELECT 1 FROM ${table} WHERE ${key} = ${value(key)})
ON CONFLICT (${key}) DO UPDATE SET ${changing(upsert)
        .map((column) => `${column} = excluded.${column}`)
        .join(", ")}
${keepSuccess ? "WHERE kept.status IS DISTINCT FROM 'SUCCESS'" : ""}`;
    },
  ],
  forUpdate: " FOR UPDATE",
};

function quote(name: SqlName): string {
  return quoted(name, '"');
}
