import { optionalDriver } from "../optional-driver.ts";

/** A statement, as both drivers have it. */
export interface SqliteStatement {
  all(...values: unknown[]): unknown[];
  run(...values: unknown[]): { changes: number | bigint };
}

/** An open file, as both drivers have it. */
export interface SqliteFile {
  exec(text: string): unknown;
  prepare(text: string): SqliteStatement;
  close(): unknown;
}

/** Opens a file, and makes it when it is missing. @throws the driver's error when that cannot be */
export type OpenSqlite = (path: string) => SqliteFile;

type SqliteConstructor = new (path: string) => SqliteFile;

/** Node itself from 22.13 on; before that, `better-sqlite3`, which the application installs. */
const INSTALL = "npm install better-sqlite3, or use Node.js 22.13 or newer, which has one of its own";
/** Not a literal, so that the compiler does not ask for a package that may not be there. */
const PACKAGE: string = "better-sqlite3";

/** @throws ImproperlyConfigured when there is no driver */
export async function sqliteDriver(): Promise<OpenSqlite> {
  const own = process.getBuiltinModule?.("node:sqlite") as { DatabaseSync: SqliteConstructor } | undefined;
  if (own) return (path) => new own.DatabaseSync(path);
  const { default: Package } = await optionalDriver<{ default: SqliteConstructor }>(
    () => import(PACKAGE),
    "db+sqlite",
    INSTALL,
  );
  return (path) => new Package(path);
}
