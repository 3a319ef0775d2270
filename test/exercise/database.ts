import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EncodeError } from "../../src/app/errors.ts";
import type { BackendOptions, DatabaseSettings, ResultBackend } from "../../src/backends/backend.ts";
import type { Database } from "../../src/backends/database/database.ts";
import { DatabaseBackend } from "../../src/backends/database/database-backend.ts";
import { backendOptions, record } from "./backend.ts";

/** A kind of database under exercise. */
export interface DatabaseUnderTest {
  name: string;
  open(options: BackendOptions): Promise<Database>;
  /** The URL of a database with nothing in it. */
  fresh(): Promise<string>;
  /** CREATE TABLE for the two tables as Celery 5.4 makes them, and for their sequences. */
  olderTables: string[];
  /** Why it takes values that are longer than their column; undefined when it does not. */
  takesLongValues?: string;
}

/** What every kind of database must do beside what every backend does. */
export function exerciseDatabase(subject: DatabaseUnderTest): void {
  describe(`${subject.name} as a database`, () => {
    let url: string;
    let database: Database;
    let closing: { close(): Promise<void> }[];
    let id: string;

    async function openDatabase(settings: Partial<DatabaseSettings> = {}): Promise<Database> {
      const made = await subject.open(optionsFor(settings));
      closing.push(made);
      return made;
    }

    async function openBackend(settings: Partial<DatabaseSettings> = {}, using?: Database): Promise<ResultBackend> {
      const made = new DatabaseBackend(optionsFor(settings), using ?? (await subject.open(optionsFor(settings))));
      closing.push(made);
      return made;
    }

    function optionsFor(settings: Partial<DatabaseSettings>): BackendOptions {
      const options = backendOptions({ url: () => url });
      return { ...options, database: { ...options.database, ...settings } };
    }

    async function rows(text: string): Promise<Record<string, unknown>[]> {
      return (await database.run(text, [])).rows;
    }

    function store(backend: ResultBackend, state: string, result: unknown, more: object = {}): Promise<void> {
      return backend.storeResult(record(id, state, result, more), { replyTo: null, correlationId: id });
    }

    beforeEach(async () => {
      url = await subject.fresh();
      closing = [];
      id = randomUUID();
      database = await openDatabase();
    });

    afterEach(async () => {
      await Promise.all(closing.map((one) => one.close()));
    });

    it("has its tables made once, however many come at the same time", async () => {
      const backends = await Promise.all(Array.from({ length: 8 }, () => openBackend()));
      const ids = backends.map(() => randomUUID());
      await Promise.all(
        backends.map((backend, n) => backend.storeResult(record(ids[n] ?? "", "SUCCESS", n), nowhere(ids[n]))),
      );
      const found = await Promise.all(ids.map((taskId) => backends[0]?.getTaskMeta(taskId)));
      expect(found.map((meta) => meta?.result)).toEqual(backends.map((_, n) => n));
      expect(await rows("SELECT id FROM celery_taskmeta ORDER BY id")).toEqual(backends.map((_, n) => ({ id: n + 1 })));
    });

    it("makes its tables at set-up, unless told to wait until it is used", async () => {
      const { text, values } = database.dialect.columnsOf({ schema: null, name: "celery_taskmeta" });
      const lazy = await openBackend({ createTablesAtSetup: false });
      await pause(200);
      expect((await database.run(text, values)).rows).toEqual([]);
      expect(await lazy.getTaskMeta(id)).toMatchObject({ status: "PENDING" });
      expect((await database.run(text, values)).rows).toHaveLength(14);
    });

    it("takes a new id for a new row only", async () => {
      const backend = await openBackend();
      for (const state of ["STARTED", "RETRY", "STARTED", "SUCCESS"]) await store(backend, state, null);
      id = randomUUID();
      await store(backend, "SUCCESS", 1);
      expect(await rows("SELECT id FROM celery_taskmeta ORDER BY id")).toEqual([{ id: 1 }, { id: 2 }]);
    });

    it("has tables of other names", async () => {
      const backend = await openBackend({ tableNames: { task: "My results", group: "groups" } });
      await store(backend, "SUCCESS", "there");
      await backend.saveGroup({ id, parent: null, results: [] });
      expect(await backend.getTaskMeta(id)).toMatchObject({ result: "there" });
      const { dialect } = database;
      const quoted = dialect.quote({ schema: null, name: "My results" });
      expect(await rows(`SELECT status FROM ${quoted}`)).toEqual([{ status: "SUCCESS" }]);
      expect(await rows("SELECT taskset_id AS it FROM groups")).toEqual([{ it: id }]);
    });

    it("writes to the tables of an older Celery, which it leaves as they are", async () => {
      await database.runAll(subject.olderTables);
      const { text, values } = database.dialect.columnsOf({ schema: null, name: "celery_taskmeta" });
      const before = (await database.run(text, values)).rows;
      const backend = await openBackend();
      const request = { name: "tasks.add", args: [1], kwargs: {}, children: [[["child", null], null]] as never };
      await store(backend, "SUCCESS", 3, { request, extended: true });
      await backend.saveGroup({ id, parent: null, results: [] });
      expect(await backend.getTaskMeta(id)).toMatchObject({ result: 3, name: "tasks.add", children: [] });
      expect((await database.run(text, values)).rows).toEqual(before);
      expect(before).toHaveLength(12);
    });

    it("keeps all that an extended record has", async () => {
      const backend = await openBackend();
      const request = {
        name: "tasks.add",
        args: [1, "ü"],
        kwargs: { k: [1.5] },
        hostname: `w@${"h".repeat(200)}`,
        retries: 2,
        routingKey: "q",
        stampedHeaders: ["a"],
        stamps: { a: ["x"] },
        children: [[["child", [["parent", null], null]], null]] as never,
      };
      await store(backend, "SUCCESS", 1, { request, extended: true });
      expect(await backend.getTaskMeta(id)).toMatchObject({
        name: "tasks.add",
        args: [1, "ü"],
        kwargs: { k: [1.5] },
        worker: `w@${"h".repeat(153)}`,
        retries: 2,
        queue: "q",
        stamped_headers: ["a"],
        a: ["x"],
        children: [[["child", [["parent", null], null]], null]],
      });
    });

    it("leaves no more than one SUCCESS, and nothing after it, when many store at the same time", async () => {
      const backends = await Promise.all(Array.from({ length: 4 }, () => openBackend()));
      const states = ["STARTED", "RETRY", "FAILURE", "SUCCESS"];
      await Promise.all(
        Array.from({ length: 40 }, (_, n) => store(backends[n % 4] as ResultBackend, states[(n >> 2) % 4] ?? "", n)),
      );
      const [meta] = await Promise.all(backends.map((backend) => backend.getTaskMeta(id)));
      expect(meta?.status).toBe("SUCCESS");
      await store(backends[0] as ResultBackend, "FAILURE", null);
      expect(await backends[1]?.getTaskMeta(id)).toEqual(meta);
      expect(await rows("SELECT count(*) AS count FROM celery_taskmeta")).toMatchObject([{ count: expect.anything() }]);
      expect(await rows("SELECT status FROM celery_taskmeta")).toHaveLength(1);
    });

    it("stores text that holds NUL, and characters of every plane", async () => {
      const backend = await openBackend();
      await store(
        backend,
        "FAILURE",
        { exc_type: "E", exc_message: ["a\0b😀"], exc_module: "m" },
        { traceback: "a\0b😀" },
      );
      const meta = await backend.getTaskMeta(id);
      expect(meta.result).toMatchObject({ exc_message: ["a\0b😀"] });
      expect(meta.traceback).toBe("a\uFFFDb😀");
    });

    it("refuses what does not fit, and says so", async ({ skip }) => {
      skip(Boolean(subject.takesLongValues), subject.takesLongValues);
      const backend = await openBackend();
      const stored = store(backend, "S".repeat(51), 1);
      await expect(stored).rejects.toBeInstanceOf(EncodeError);
      expect(await backend.getTaskMeta(id)).toMatchObject({ status: "PENDING" });
    });

    it("drops at clean-up what has expired, and nothing else", async () => {
      const backend = await openBackend();
      await store(backend, "SUCCESS", "old", { now: new Date(Date.now() - 61_000).toISOString() });
      const old = id;
      id = randomUUID();
      await store(backend, "SUCCESS", "new");
      await backend.saveGroup({ id, parent: null, results: [] });
      await backend.cleanup?.(new Date());
      expect(await backend.getTaskMeta(old)).toMatchObject({ status: "PENDING" });
      expect(await backend.getTaskMeta(id)).toMatchObject({ result: "new" });
      expect(await backend.restoreGroup(id)).toMatchObject({ id });
    });

    it("makes its tables again when somebody dropped them", async () => {
      const backend = await openBackend();
      await store(backend, "SUCCESS", 1);
      await database.runAll(["DROP TABLE celery_taskmeta"]);
      await store(backend, "SUCCESS", 2);
      expect(await backend.getTaskMeta(id)).toMatchObject({ result: 2 });
    });

    it("looks for any number of results with one statement, less and less often", async () => {
      let asked = 0;
      const counted = await subject.open(optionsFor({}));
      const run = counted.run.bind(counted);
      counted.run = (text, values, unlimited) => {
        if (text.includes("traceback")) asked += 1;
        return run(text, values, unlimited);
      };
      const backend = await openBackend({}, counted);
      const ids = Array.from({ length: 200 }, () => randomUUID());
      const waits = ids.map((taskId) => backend.wait(taskId, AbortSignal.timeout(10_000)));
      await pause(2_000);
      expect(asked).toBeGreaterThan(5);
      expect(asked).toBeLessThan(25);
      await Promise.all(ids.map((taskId) => backend.storeResult(record(taskId, "SUCCESS", taskId), nowhere(taskId))));
      expect((await Promise.all(waits)).map((meta) => meta.result)).toEqual(ids);
    });

    it("holds results in the other format too, and reads both", async () => {
      const backend = await openBackend();
      const older = await openBackend({ pickled: true });
      const value = {
        text: "grüße",
        list: [1, -1, 255, 65536, 2 ** 40, 2.5, true, null],
        nested: { a: [[]] },
        big: 2n ** 70n,
      };
      await store(older, "SUCCESS", value);
      expect(await backend.getTaskMeta(id)).toMatchObject({ result: value });
      const group = {
        id,
        parent: null,
        results: [{ id: "a", parent: { id: "p", parent: null, results: null }, results: null }],
      };
      await older.saveGroup(group);
      expect(await backend.restoreGroup(id)).toEqual(group);
      id = randomUUID();
      await store(backend, "SUCCESS", value);
      expect(await older.getTaskMeta(id)).toMatchObject({ result: value });
    });

    it("works through a new connection for each call", async () => {
      const backend = await openBackend({ shortLivedSessions: true });
      await store(backend, "SUCCESS", 1);
      expect(await backend.wait(id, AbortSignal.timeout(5_000))).toMatchObject({ result: 1 });
    });
  });
}

function nowhere(correlationId: string | undefined): { replyTo: null; correlationId: string } {
  return { replyTo: null, correlationId: correlationId ?? "" };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
