import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OperationalError } from "../../../../src/app/errors.ts";
import type { BackendOptions } from "../../../../src/backends/backend.ts";
import { DatabaseBackend } from "../../../../src/backends/database/database-backend.ts";
import { PostgresDatabase } from "../../../../src/backends/database/postgres.ts";
import { backendOptions, exerciseBackend, record } from "../../../exercise/backend.ts";
import { exerciseDatabase } from "../../../exercise/database.ts";
import { type PostgresServer, postgresFolder, startPostgres } from "../../../servers/postgres.ts";
import { type Certificates, makeCertificates } from "../../../support/certificates.ts";

describe.skipIf(!postgresFolder())("PostgreSQL (needs postgresql: script/setup installs it)", () => {
  let certificates: Certificates;
  let server: PostgresServer;
  const url = (): string => `db+${server.url}`;
  const options = (change: Partial<BackendOptions> = {}): BackendOptions => ({ ...backendOptions({ url }), ...change });
  const open = (given: BackendOptions): DatabaseBackend => new DatabaseBackend(given, new PostgresDatabase(given));

  beforeAll(async () => {
    certificates = makeCertificates();
    server = await startPostgres(certificates);
  });

  afterAll(async () => {
    await server?.stop();
    rmSync(certificates.folder, { recursive: true });
  });

  async function run(...texts: string[]): Promise<void> {
    const database = new PostgresDatabase(options());
    for (const text of texts) await database.run(text, []);
    await database.close();
  }

  async function fresh(): Promise<string> {
    const name = `fresh_${randomUUID().slice(0, 8)}`;
    await run(`CREATE DATABASE ${name}`);
    return url().replace(/\/postgres$/, `/${name}`);
  }

  exerciseBackend({ name: "PostgreSQL", make: open, url });

  exerciseBackend({
    name: "PostgreSQL in the format up to 5.6",
    make: (given) => open({ ...given, database: { ...given.database, pickled: true } }),
    url,
  });

  exerciseDatabase({
    name: "PostgreSQL",
    open: async (given) => new PostgresDatabase(given),
    fresh,
    olderTables: [
      "CREATE SEQUENCE task_id_sequence",
      "CREATE SEQUENCE taskset_id_sequence",
      `CREATE TABLE celery_taskmeta (id INTEGER NOT NULL, task_id VARCHAR(155), status VARCHAR(50), result BYTEA,
        date_done TIMESTAMP WITHOUT TIME ZONE, traceback TEXT, name VARCHAR(155), args BYTEA, kwargs BYTEA,
        worker VARCHAR(155), retries INTEGER, queue VARCHAR(155), PRIMARY KEY (id), UNIQUE (task_id))`,
      `CREATE TABLE celery_tasksetmeta (id INTEGER NOT NULL, taskset_id VARCHAR(155), result BYTEA,
        date_done TIMESTAMP WITHOUT TIME ZONE, PRIMARY KEY (id), UNIQUE (taskset_id))`,
    ],
  });

  it("keeps its tables and sequences in schemas", async () => {
    const there = await fresh();
    const database = new PostgresDatabase(options({ url: there }));
    await database.run('CREATE SCHEMA "Tasks"', []);
    const given = options({ url: there });
    const backend = open({ ...given, database: { ...given.database, tableSchemas: { task: "Tasks" } } });
    const id = randomUUID();
    await backend.storeResult(record(id, "SUCCESS", 1));
    expect(await backend.getTaskMeta(id)).toMatchObject({ result: 1 });
    const { rows } = await database.run(
      `SELECT "Tasks".task_id_sequence.last_value::int AS last FROM "Tasks".task_id_sequence`,
      [],
    );
    expect(rows).toEqual([{ last: 1 }]);
    await Promise.all([backend.close(), database.close()]);
  });

  it("gives the moment back, whatever the session's time zone", async () => {
    const backend = open(options());
    const id = randomUUID();
    await backend.storeResult(record(id, "SUCCESS", 1, { now: "2031-05-06T07:08:09.123456-05:00" }));
    expect((await backend.getTaskMeta(id)).date_done).toBe("2031-05-06T12:08:09.123456+00:00");
    await backend.close();
  });

  it("neither loses a result nor who waits for it when the server is killed", async () => {
    const backend = open(options());
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

  it("says within its time that nobody listens, and shows no password", async () => {
    const backend = open(options({ url: "db+postgresql://me:hidden@127.0.0.1:1/x", connectionTimeout: 0.3 }));
    const started = performance.now();
    const error = await backend.getTaskMeta("any").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(OperationalError);
    expect(String(error)).toMatch(/me:\*\*@127\.0\.0\.1:1\/x: .*ECONNREFUSED/);
    await expect(backend.wait("any", AbortSignal.timeout(5_000))).rejects.toBeInstanceOf(OperationalError);
    expect(performance.now() - started).toBeLessThan(3_000);
    await backend.close();
  });

  it("says at once that the password is wrong", async () => {
    const backend = open(options({ url: url().replace("secret%20word", "wrong") }));
    await expect(backend.getTaskMeta("any")).rejects.toThrow(/password authentication failed/);
    await backend.close();
  });

  it("encrypts, and checks who answers as far as it is told to", async () => {
    const reach = async (parameters: string): Promise<boolean> => {
      const given = options({ url: `${url()}?${parameters}` });
      const backend = open(given);
      const database = new PostgresDatabase(given);
      try {
        await backend.getTaskMeta("any");
        const { rows } = await database.run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", []);
        return Boolean(rows[0]?.ssl);
      } finally {
        await Promise.all([backend.close(), database.close()]);
      }
    };
    expect(await reach("sslmode=disable")).toBe(false);
    expect(await reach("sslmode=require")).toBe(true);
    const ca = `sslrootcert=${encodeURIComponent(certificates.ca)}`;
    expect(await reach(`sslmode=verify-full&${ca}`)).toBe(true);
    await expect(reach("sslmode=verify-full")).rejects.toThrow(/certificate/);
    await expect(reach("sslmode=always")).rejects.toThrow(/sslmode cannot be "always"/);
  });

  it("reaches the server by its socket, and takes a driver's name and options", async () => {
    const backend = open(
      options({
        url: `db+postgresql+psycopg2://celeriac:secret%20word@/postgres?host=${server.folder}&port=${server.port}&sslmode=prefer`,
      }),
    );
    expect(await backend.getTaskMeta("any")).toMatchObject({ status: "PENDING" });
    await backend.close();
  });
});
