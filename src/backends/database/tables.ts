import type { DatabaseTable, TableColumns } from "../../../protocol/result/database-tables.ts";
import type { Database, SqlName } from "./database.ts";

/** A table as it is there. */
export interface FoundTable {
  readonly table: TableColumns;
  /** Quoted, with its schema. */
  readonly quoted: string;
  /** Tables that an older Celery made have fewer columns; those that are not known here are left out. */
  readonly columns: ReadonlySet<string>;
  /** The expression for a new row's id; null where ids come by themselves. */
  readonly nextId: string | null;
}

/** Which table, under which name. */
export interface WantedTable {
  table: DatabaseTable;
  name: SqlName;
}

/** As many tries as SQLAlchemy's side has. */
const ATTEMPTS = 10;

/**
 * Finds two tables, and makes those that are missing with their sequences and indices, as SQLAlchemy would. A table
 * that is there is never altered. Mirrors `celery/backends/database/session.py prepare_models`.
 *
 * Others may make the same at the same moment: whoever comes second gets an error, looks again, and finds it made.
 *
 * @throws the driver's error when it cannot be made
 */
export async function preparedTables(
  database: Database,
  wanted: readonly [WantedTable, WantedTable],
): Promise<[FoundTable, FoundTable]> {
  const sequences = await database.hasSequences();
  for (let attempt = 1; ; attempt++) {
    const first = await look(database, wanted[0], sequences);
    const second = await look(database, wanted[1], sequences);
    const missing = [...first.statements, ...second.statements];
    if (missing.length === 0) return [first.found, second.found];
    try {
      await database.runAll(missing);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * attempt));
    }
  }
}

async function look(
  database: Database,
  { table, name }: WantedTable,
  sequences: boolean,
): Promise<{ found: FoundTable; statements: string[] }> {
  const { dialect } = database;
  const there = await columnsOf(database, name);
  const sequence = { schema: name.schema, name: table.sequence };
  const quotedSequence = dialect.quote(sequence);
  const automatic = there.get("id") ?? false;
  const statements: string[] = [];
  if (sequences && !automatic && (await columnsOf(database, sequence)).size === 0) {
    statements.push(`CREATE SEQUENCE ${quotedSequence}`);
  }
  if (there.size === 0) statements.push(...dialect.create(table, name, sequences));
  const nextId = sequences && !automatic ? dialect.nextId(quotedSequence) : null;
  return { found: { ...foundTable(database, table, name, there), nextId }, statements };
}

/** A table that somebody else makes; null when it is not there. @throws the driver's error */
export async function existingTable(database: Database, table: TableColumns): Promise<FoundTable | null> {
  const name = { schema: null, name: table.name };
  const there = await columnsOf(database, name);
  return there.size > 0 ? foundTable(database, table, name, there) : null;
}

function foundTable(
  { dialect }: Database,
  table: TableColumns,
  name: SqlName,
  there: ReadonlyMap<string, unknown>,
): FoundTable {
  const columns = new Set(Object.keys(table.columns).filter((column) => there.has(column)));
  return { table, quoted: dialect.quote(name), columns, nextId: null };
}

/** Columns by name, and whether their values come by themselves; none when it is not there. */
async function columnsOf(database: Database, name: SqlName): Promise<Map<string, boolean>> {
  const { text, values } = database.dialect.columnsOf(name);
  const { rows } = await database.run(text, values);
  return new Map(rows.map((row) => [String(row.name), Boolean(row.automatic)]));
}
