import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { OperationalError } from "../../../../src/app/errors.ts";
import { DatabaseBackend } from "../../../../src/backends/database/database-backend.ts";
import { SqliteDatabase } from "../../../../src/backends/database/sqlite.ts";
import { backendOptions, exerciseBackend, record } from "../../../exercise/backend.ts";
import { exerciseDatabase } from "../../../exercise/database.ts";
import { hasSqlite } from "../../../support/sqlite.ts";

describe.skipIf(!(await hasSqlite()))(
  "SQLite (needs Node.js 22.13, or better-sqlite3: script/setup installs it)",
  () => {
    const folder = mkdtempSync(join(tmpdir(), "celeriac-sqlite-"));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    exerciseBackend({
      name: "SQLite",
      make: async (options) => new DatabaseBackend(options, await SqliteDatabase.open(options)),
      url: () => `db+sqlite:///${folder}/results.db`,
    });

    exerciseDatabase({
      name: "SQLite",
      open: (options) => SqliteDatabase.open(options),
      fresh: async () => `db+sqlite:///${folder}/${randomUUID()}.db`,
      olderTables: [
        `CREATE TABLE celery_taskmeta (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, task_id VARCHAR(155),
        status VARCHAR(50), result BLOB, date_done DATETIME, traceback TEXT, name VARCHAR(155), args BLOB, kwargs BLOB,
        worker VARCHAR(155), retries INTEGER, queue VARCHAR(155), UNIQUE (task_id))`,
        `CREATE TABLE celery_tasksetmeta (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, taskset_id VARCHAR(155),
        result BLOB, date_done DATETIME, UNIQUE (taskset_id))`,
      ],
      takesLongValues: "it has no lengths",
    });

    it("waits for a lock that another holds, without holding up anything else", async () => {
      const options = backendOptions({ url: () => `db+sqlite:///${folder}/locked.db` });
      const [mine, other] = [await SqliteDatabase.open(options), await SqliteDatabase.open(options)];
      const backend = new DatabaseBackend(options, mine);
      const id = randomUUID();
      await backend.getTaskMeta(id);
      await other.run("BEGIN EXCLUSIVE", []);
      let turns = 0;
      const timer = setInterval(() => turns++, 10);
      const stored = backend.storeResult(record(id, "SUCCESS", 1));
      await new Promise((resolve) => setTimeout(resolve, 500));
      clearInterval(timer);
      await other.run("COMMIT", []);
      await stored;
      expect(turns).toBeGreaterThan(20);
      expect(await backend.getTaskMeta(id)).toMatchObject({ result: 1 });
      await Promise.all([backend.close(), other.close()]);
    });

    it("says that a folder is not there, and that a file is needed", async () => {
      const options = backendOptions({ url: () => `db+sqlite:///${folder}/missing/results.db` });
      const backend = new DatabaseBackend(options, await SqliteDatabase.open(options));
      await expect(backend.getTaskMeta("any")).rejects.toBeInstanceOf(OperationalError);
      await backend.close();
      const none = backendOptions({ url: () => "db+sqlite://" });
      await expect(SqliteDatabase.open(none)).rejects.toThrow(/needs a file/);
    });
  },
);
