import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EncodeError } from "../../../../src/app/errors.ts";
import type { BackendOptions } from "../../../../src/backends/backend.ts";
import { DatabaseBackend } from "../../../../src/backends/database/database-backend.ts";
import { MysqlDatabase } from "../../../../src/backends/database/mysql.ts";
import { backendOptions, exerciseBackend, record } from "../../../exercise/backend.ts";
import { exerciseDatabase } from "../../../exercise/database.ts";
import { type MariadbServer, mariadbProgram, startMariadb } from "../../../servers/mariadb.ts";
import { type Certificates, makeCertificates } from "../../../support/certificates.ts";

const OLDER_TASKS = `CREATE TABLE celery_taskmeta (id INTEGER NOT NULL, task_id VARCHAR(155), status VARCHAR(50),
  result BLOB, date_done DATETIME, traceback TEXT, name VARCHAR(155), args BLOB, kwargs BLOB, worker VARCHAR(155),
  retries INTEGER, queue VARCHAR(155), PRIMARY KEY (id), UNIQUE (task_id))`;
const OLDER_GROUPS = `CREATE TABLE celery_tasksetmeta (id INTEGER NOT NULL, taskset_id VARCHAR(155), result BLOB,
  date_done DATETIME, PRIMARY KEY (id), UNIQUE (taskset_id))`;

describe.skipIf(!mariadbProgram())("MariaDB (needs mariadb-server: script/setup installs it)", () => {
  let certificates: Certificates;
  let server: MariadbServer;
  const url = (): string => `db+${server.url}`;
  const options = (change: Partial<BackendOptions> = {}): BackendOptions => ({ ...backendOptions({ url }), ...change });
  const open = async (given: BackendOptions): Promise<DatabaseBackend> =>
    new DatabaseBackend(given, await MysqlDatabase.open(given));

  beforeAll(async () => {
    certificates = makeCertificates();
    server = await startMariadb(certificates);
  });

  afterAll(async () => {
    await server?.stop();
    rmSync(certificates.folder, { recursive: true });
  });

  async function fresh(): Promise<string> {
    const name = `fresh_${randomUUID().slice(0, 8)}`;
    const database = await MysqlDatabase.open(options());
    await database.run(`CREATE DATABASE ${name}`, []);
    await database.close();
    return url().replace(/\/celery$/, `/${name}`);
  }

  exerciseBackend({ name: "MariaDB", make: open, url });

  exerciseDatabase({
    name: "MariaDB",
    open: (given) => MysqlDatabase.open(given),
    fresh,
    olderTables: ["CREATE SEQUENCE task_id_sequence", "CREATE SEQUENCE taskset_id_sequence", OLDER_TASKS, OLDER_GROUPS],
  });

  it("takes ids that come by themselves where a table has them, as on MySQL", async () => {
    const there = await fresh();
    const database = await MysqlDatabase.open(options({ url: there }));
    const texts = [OLDER_TASKS, OLDER_GROUPS].map((text) => text.replace("NOT NULL", "NOT NULL AUTO_INCREMENT"));
    await database.runAll(texts);
    const backend = await open(options({ url: there }));
    for (const result of [1, 2]) await backend.storeResult(record(randomUUID(), "SUCCESS", result));
    expect((await database.run("SELECT id FROM celery_taskmeta ORDER BY id", [])).rows).toEqual([{ id: 1 }, { id: 2 }]);
    expect((await database.run("SHOW TABLES", [])).rows).toHaveLength(2);
    await Promise.all([backend.close(), database.close()]);
  });

  it("keeps its tables in other databases", async () => {
    const [there, other] = [await fresh(), await fresh()];
    const given = options({ url: there });
    const schema = other.slice(other.lastIndexOf("/") + 1);
    const backend = await open({ ...given, database: { ...given.database, tableSchemas: { task: schema } } });
    const id = randomUUID();
    await backend.storeResult(record(id, "SUCCESS", 1));
    expect(await backend.getTaskMeta(id)).toMatchObject({ result: 1 });
    await backend.close();
  });

  it("refuses a result that is longer than the column takes, rather than cut it short", async () => {
    const backend = await open(options());
    const id = randomUUID();
    const stored = backend.storeResult(record(id, "SUCCESS", "x".repeat(70_000)));
    await expect(stored).rejects.toBeInstanceOf(EncodeError);
    await expect(stored).rejects.toThrow(/Data too long for column 'result'/);
    expect(await backend.getTaskMeta(id)).toMatchObject({ status: "PENDING" });
    await backend.close();
  });

  it("neither loses a result nor who waits for it when the server is killed", async () => {
    const backend = await open(options());
    const [before, later] = [randomUUID(), randomUUID()];
    await backend.storeResult(record(before, "SUCCESS", "before"));
    const waiting = backend.wait(later, AbortSignal.timeout(20_000));
    await server.kill();
    const stored = backend.storeResult(record(later, "SUCCESS", "later"));
    await server.start();
    await stored;
    expect(await waiting).toMatchObject({ result: "later" });
    expect(await backend.getTaskMeta(before)).toMatchObject({ result: "before" });
    await backend.close();
  });

  it("says at once that the password is wrong", async () => {
    const backend = await open(options({ url: url().replace("secret%20word", "wrong") }));
    await expect(backend.getTaskMeta("any")).rejects.toThrow(/\*\*@.*Access denied/);
    await backend.close();
  });

  it("encrypts, and checks who answers as far as it is told to", async () => {
    const reach = async (parameters: string): Promise<boolean> => {
      const given = options({ url: `${url()}?${parameters}` });
      const backend = await open(given);
      const database = await MysqlDatabase.open(given);
      try {
        await backend.getTaskMeta("any");
        const { rows } = await database.run("SHOW STATUS LIKE 'Ssl_cipher'", []);
        return Boolean(rows[0]?.Value);
      } finally {
        await Promise.all([backend.close(), database.close()]);
      }
    };
    expect(await reach("charset=utf8mb4")).toBe(false);
    expect(await reach("ssl=true")).toBe(true);
    const ca = `ssl_ca=${encodeURIComponent(certificates.ca)}`;
    expect(await reach(ca)).toBe(true);
    expect(await reach(`${ca}&ssl_verify_identity=true`)).toBe(true);
    expect(await reach(`${ca}&ssl_disabled=true`)).toBe(false);
    await expect(reach("ssl_verify_cert=true")).rejects.toThrow(/certificate/);
  });

  it("reaches the server by its socket, and takes a driver's name and options", async () => {
    const socket = `${server.folder}/mysqld.sock`;
    const backend = await open(
      options({ url: `db+mysql+pymysql://celeriac:secret%20word@/celery?unix_socket=${socket}&charset=utf8mb4` }),
    );
    expect(await backend.getTaskMeta("any")).toMatchObject({ status: "PENDING" });
    await backend.close();
  });
});
