import { sqliteDriver } from "../../src/backends/database/sqlite-driver.ts";

/** Whether this Node can open SQLite files: by itself, or with better-sqlite3. */
export async function hasSqlite(): Promise<boolean> {
  return sqliteDriver().then(
    () => true,
    () => false,
  );
}
