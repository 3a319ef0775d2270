import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { PlainDate } from "../protocol/python/datetime.ts";
import { Decimal } from "../protocol/python/decimal.ts";
import { UUID } from "../protocol/python/uuid.ts";
import { type MetaInput, taskMeta } from "../protocol/result/meta.ts";
import { type Celery, DateTime, pickleSerializer, TaskError, TaskRevokedError } from "../src/index.ts";
import { testApp } from "../test/support/app.ts";
import { type DatabaseServer, databaseKinds, type FreshDatabase } from "./databases.ts";
import { PythonClient, PythonError, PythonWorker } from "./python.ts";
import { madeVenv } from "./venv.ts";
import { compatibilityOf } from "./versions.ts";

/** A version of each format at least, and the setting that says so. */
const VERSIONS = [...new Set(["5.7.0", "5.4.0", ...Object.keys(inject("pythons"))])].map((version) => ({
  version,
  compatibility: compatibilityOf(version),
}));

const ORDERS = ["Python makes the tables", "TypeScript makes the tables"] as const;

/** Each side's clock is shown in this zone, so that a mistake of hours would be seen. */
const timezone = "Europe/Berlin";

const within = { timeout: 20 };
const hasPython = inject("python") !== "";

for (const kind of await databaseKinds()) {
  const lacks = hasPython ? kind.lacks : "Python 3";
  describe.skipIf(lacks)(`results in ${kind.name}${lacks ? ` (needs ${lacks}: script/setup installs it)` : ""}`, () => {
    let server: DatabaseServer;
    let pythons: Record<string, string>;

    beforeAll(async () => {
      server = await kind.start();
      pythons = { ...inject("pythons") };
      for (const { version } of VERSIONS) pythons[version] ??= (await madeVenv(version)) ?? "";
    });

    afterAll(() => server?.stop());

    describe.each(VERSIONS)("shared with Celery $version", ({ version, compatibility }) => {
      describe.each(ORDERS)("%s", (order) => {
        let app: Celery;
        let client: PythonClient;
        let id: string;

        beforeAll(async () => {
          ({ app, client } = sides(await server.fresh(), pythons[version] ?? "", compatibility));
          await client.run(SETUP);
          const fromPython = (): Promise<unknown> => client.run("app.backend.get_state('none')");
          const fromTypescript = async (): Promise<unknown> => (await app.backend()).getTaskMeta("none");
          const [first, second] = order === ORDERS[0] ? [fromPython, fromTypescript] : [fromTypescript, fromPython];
          await first();
          await second();
        });

        afterAll(() => Promise.all([app?.close(), client?.[Symbol.asyncDispose]()]));

        /** Stores a result in Python. @param args of `store_result` after the id, as Python */
        async function python(args: string): Promise<void> {
          id = randomUUID();
          await client.run(`app.backend.store_result(${JSON.stringify(id)}, ${args})`);
        }

        async function typescript(state: string, result: unknown, more: Partial<MetaInput> = {}): Promise<void> {
          id = randomUUID();
          const meta = taskMeta({ taskId: id, state, result, now: new Date().toISOString(), ...more });
          await (await app.backend()).storeResult(meta, { replyTo: null, correlationId: id });
        }

        /** Asks Python's AsyncResult. @param code with `r` for it */
        function asked(code: string): Promise<unknown> {
          return client.run(`r = AsyncResult(${JSON.stringify(id)})\nresult = ${code}`);
        }

        async function raised(): Promise<PythonError> {
          const error = await asked("r.get(timeout=5)").catch((caught: unknown) => caught);
          expect(error).toBeInstanceOf(PythonError);
          return error as PythonError;
        }

        it("is asked of the version that it names", async () => {
          expect(await client.run("__import__('celery').__version__")).toBe(version);
        });

        it("TypeScript reads what Python returned", async () => {
          await python(`{"a": [1, 2.5, None, True, "grüße", 2**70, -1, 70000], "b": {}}, "SUCCESS"`);
          const value = await app.asyncResult(id).get(within);
          expect(value).toEqual({ a: [1, 2.5, null, true, "grüße", 2n ** 70n, -1, 70000], b: {} });
          await python(`None, "SUCCESS"`);
          expect(await app.asyncResult(id).get(within)).toBeNull();
        });

        it("Python reads what TypeScript returned", async () => {
          await typescript("SUCCESS", { a: [1, 2.5, null, true, "grüße", 2n ** 70n, -1, 70000], b: {} });
          expect(await asked("repr(r.get(timeout=5))")).toBe(
            "{'a': [1, 2.5, None, True, 'grüße', 1180591620717411303424, -1, 70000], 'b': {}}",
          );
          await typescript("SUCCESS", null);
          expect(await asked("[r.state, r.get(timeout=5)]")).toEqual(["SUCCESS", null]);
        });

        it("either side reads values of the other's that JSON does not have", async () => {
          const values = {
            when: new DateTime("2031-05-06T07:08:09.123456+00:00"),
            day: new PlainDate("2031-05-06"),
            cost: new Decimal("1.10"),
            key: new UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
            raw: new Uint8Array([0, 255]),
          };
          await python(`VALUES, "SUCCESS"`);
          expect(await app.asyncResult(id).get(within)).toEqual(values);
          await typescript("SUCCESS", values);
          // Up to 5.2, what is typed in JSON is a dict; in a database it is a pickle all the same.
          expect(await asked("r.get(timeout=5) == VALUES or r.get()")).toBe(true);
        });

        it("TypeScript raises an error of the application's own, with what is nested in it", async () => {
          await python(`OutOfStock("apple", [3, {"in": None}]), "FAILURE"`);
          const error = await app
            .asyncResult(id)
            .get(within)
            .catch((caught: unknown) => caught);
          expect(error).toMatchObject({ type: "OutOfStock", module: "tasks", args: ["apple", [3, { in: null }]] });
          // What its serializer cannot write, Celery stores as its repr.
          await python(`ValueError(KeyError("inner"), {1}), "FAILURE"`);
          await expect(app.asyncResult(id).get(within)).rejects.toMatchObject({ args: ["KeyError('inner')", "{1}"] });
        });

        it("TypeScript raises what Python raised", async () => {
          await python(`ValueError("bad", 1), "FAILURE", traceback="Traceback: bad"`);
          const error = await app
            .asyncResult(id)
            .get(within)
            .catch((caught: unknown) => caught);
          expect(error).toBeInstanceOf(TaskError);
          expect(error).toMatchObject({ type: "ValueError", module: "builtins", args: ["bad", 1] });
          expect(error).toMatchObject({ traceback: "Traceback: bad" });
        });

        it("Python raises what TypeScript raised", async () => {
          const stored = { exc_type: "ValueError", exc_message: ["bad", 1], exc_module: "builtins" };
          await typescript("FAILURE", stored, { traceback: "Traceback: bad" });
          expect(await raised()).toMatchObject({ type: "ValueError", module: "builtins", args: ["'bad'", "1"] });
          expect(await asked("r.traceback")).toBe("Traceback: bad");
        });

        it("Python raises an error of the application's own by its class", async () => {
          const stored = { exc_type: "OutOfStock", exc_message: ["apple", 3], exc_module: "tasks" };
          await typescript("FAILURE", stored);
          expect(await raised()).toMatchObject({ type: "OutOfStock", module: "tasks", args: ["'apple'", "3"] });
        });

        it("either side sees that the other retries", async () => {
          await python(`ValueError("not yet"), "RETRY", traceback="tb"`);
          expect(await app.asyncResult(id).state()).toBe("RETRY");
          expect(await app.asyncResult(id).info()).toMatchObject({ type: "ValueError", args: ["not yet"] });
          const stored = { exc_type: "KeyError", exc_message: ["k"], exc_module: "builtins" };
          await typescript("RETRY", stored);
          expect(await asked("[r.state, repr(r.info)]")).toEqual(["RETRY", "KeyError('k')"]);
          await typescript("RETRY", null);
          expect(await asked("[r.state, r.info]")).toEqual(["RETRY", null]);
        });

        it("either side sees that the other revoked a task", async () => {
          id = randomUUID();
          await client.run(`app.backend.mark_as_revoked(${JSON.stringify(id)}, "revoked")`);
          await expect(app.asyncResult(id).get(within)).rejects.toBeInstanceOf(TaskRevokedError);
          const stored = { exc_type: "TaskRevokedError", exc_message: ["revoked"], exc_module: "celery.exceptions" };
          await typescript("REVOKED", stored);
          expect(await raised()).toMatchObject({ type: "TaskRevokedError", args: ["'revoked'"] });
        });

        it("either side sees the states on the way, of the application's own too", async () => {
          await python(`{"pid": 1, "hostname": "me"}, "STARTED"`);
          expect(await app.asyncResult(id).state()).toBe("STARTED");
          await client.run(`app.backend.store_result(${JSON.stringify(id)}, {"done": 3}, "PROGRESS")`);
          expect([await app.asyncResult(id).state(), await app.asyncResult(id).info()]).toEqual([
            "PROGRESS",
            { done: 3 },
          ]);
          await typescript("STARTED", { pid: 1, hostname: "me" });
          expect(await asked("[r.state, r.info]")).toEqual(["STARTED", { pid: 1, hostname: "me" }]);
          await typescript("PROGRESS", { done: 3 });
          expect(await asked("[r.state, r.info]")).toEqual(["PROGRESS", { done: 3 }]);
        });

        it("either side reads the other's extended results", async () => {
          await python(`3, "SUCCESS", request=request`);
          const meta = await (await app.backend()).getTaskMeta(id);
          const extended = {
            name: "tasks.add",
            args: [1, "ü"],
            kwargs: { k: [1.5] },
            worker: "w@h",
            retries: 2,
            queue: "q",
          };
          expect(meta).toMatchObject({ result: 3, ...extended });
          const children = [[["child", null], null]] as never;
          const request = {
            ...extended,
            hostname: "w@h",
            routingKey: "q",
            children,
            stampedHeaders: ["a"],
            stamps: { a: [1] },
          };
          await typescript("SUCCESS", 3, { request, extended: true });
          const code = "[r.name, list(r.args), r.kwargs, r.worker, r.retries, r.queue]";
          expect(await asked(code)).toEqual(["tasks.add", [1, "ü"], { k: [1.5] }, "w@h", 2, "q"]);
          if (version !== "5.7.0") return;
          expect(meta).toMatchObject({ stamped_headers: ["s"], s: ["x"], children: [[["child", null], null]] });
          expect(await asked("[[c.id for c in r.children], r._get_task_meta()['a']]")).toEqual([["child"], [1]]);
        });

        it("either side finds the other's saved groups", async () => {
          id = randomUUID();
          await client.run(
            `GroupResult(${JSON.stringify(id)}, [app.AsyncResult("m1"), app.GroupResult("g2", [AsyncResult("m2")])]).save()`,
          );
          const backend = await app.backend();
          const member = (name: string) => ({ id: name, parent: null, results: null });
          const group = {
            id,
            parent: null,
            results: [member("m1"), { id: "g2", parent: null, results: [member("m2")] }],
          };
          expect(await backend.restoreGroup(id)).toEqual(group);
          id = randomUUID();
          await backend.saveGroup({ ...group, id, parent: member("p") });
          const code = `g = GroupResult.restore(${JSON.stringify(id)})\nresult = repr(g.as_tuple())`;
          expect(await client.run(code)).toBe(
            `(('${id}', (('p', None), None)), [(('m1', None), None), (('g2', None), [(('m2', None), None)])])`,
          );
        });

        it("either side forgets what the other stored", async () => {
          await python(`1, "SUCCESS"`);
          await app.asyncResult(id).forget();
          expect(await asked("r.state")).toBe("PENDING");
          await typescript("SUCCESS", 1);
          await asked("r.forget()");
          expect(await app.asyncResult(id).state()).toBe("PENDING");
        });

        it("either side drops what has expired, and leaves the rest", async () => {
          const hour = 3_600_000;
          await typescript("SUCCESS", 1, { now: new Date(Date.now() - 30 * hour).toISOString() });
          await client.run("app.backend.cleanup()");
          expect(await app.asyncResult(id).state()).toBe("PENDING");
          await python(`1, "SUCCESS"`);
          await client.run(`GroupResult("expiring", [AsyncResult("m")]).save()`);
          const backend = await app.backend();
          await backend.cleanup?.(new Date(Date.now() + 20 * hour));
          expect(await asked("r.state")).toBe("SUCCESS");
          await backend.cleanup?.(new Date(Date.now() + 30 * hour));
          expect(await asked("[r.state, GroupResult.restore('expiring')]")).toEqual(["PENDING", null]);
        });

        it("neither side changes the other's SUCCESS", async ({ skip }) => {
          await python(`1, "SUCCESS"`);
          await (await app.backend()).storeResult(
            taskMeta({ taskId: id, state: "FAILURE", result: null, now: new Date().toISOString() }),
            { replyTo: null, correlationId: id },
          );
          expect(await asked("[r.state, r.result]")).toEqual(["SUCCESS", 1]);
          skip(version !== "5.7.0", "Celery before 5.7 changes any state in a database");
          await typescript("SUCCESS", 2);
          await client.run(`app.backend.store_result(${JSON.stringify(id)}, None, "FAILURE")`);
          expect(await app.asyncResult(id).get(within)).toBe(2);
        });

        it("both write the same moment alike", async ({ skip }) => {
          skip(/^5[.][0-4]/.test(version), "Celery before 5.5 writes what UTC's clock shows");
          await python(`1, "SUCCESS"`);
          const theirs = await asked("stored_date(r.id)");
          await typescript("SUCCESS", 1, { now: nowIn(timezone) });
          const ours = await asked("stored_date(r.id)");
          expect(Math.abs(Number(ours) - Number(theirs))).toBeLessThan(30);
        });

        it("a waiting side hears of what the other stores", async () => {
          id = randomUUID();
          const waiting = app.asyncResult(id).get(within);
          await client.run(`app.backend.store_result(${JSON.stringify(id)}, "from Python", "SUCCESS")`);
          expect(await waiting).toBe("from Python");
        });
      });

      it.each(["msgpack", "yaml", "pickle"])("holds results as %s, both ways", async (serializer) => {
        const accept = ["json", serializer];
        const fresh = await server.fresh();
        const client = new PythonClient(pythonSide(fresh, pythons[version] ?? ""));
        await client.run(SETUP);
        await client.run(
          `backend = type(app.backend)(app=app, url=app.backend.url, serializer="${serializer}", accept=${JSON.stringify(accept)})`,
        );
        await client.run(
          `for task_id, state, result in [("ok", "SUCCESS", {"a": [1, "ü", b"\\x00\\xff"]}), ("failed", "FAILURE", OutOfStock("apple", 3))]:\n    backend.store_result(task_id, result, state, request=request)\nresult = None`,
        );
        const { app } = testApp({
          backend: fresh.typescript,
          compatibility,
          timezone,
          resultSerializer: serializer,
          acceptContent: accept,
        });
        app.register(pickleSerializer({ exceptions: ["tasks.OutOfStock"] }));
        const value = { a: [1, "ü", new Uint8Array([0, 255])] };
        expect(await app.asyncResult("ok").get(within)).toEqual(value);
        await expect(app.asyncResult("failed").get(within)).rejects.toMatchObject({
          type: "OutOfStock",
          module: "tasks",
          args: ["apple", 3],
        });
        expect(await (await app.backend()).getTaskMeta("ok")).toMatchObject({ args: [1, "ü"], kwargs: { k: [1.5] } });
        const store = async (taskId: string, state: string, result: unknown): Promise<void> => {
          const meta = taskMeta({ taskId, state, result, now: new Date().toISOString() });
          await (await app.backend()).storeResult(meta, { replyTo: null, correlationId: taskId });
        };
        await store("ours", "SUCCESS", value);
        await store("lost", "FAILURE", { exc_type: "OutOfStock", exc_message: ["apple", 3], exc_module: "tasks" });
        const read = (taskId: string, code: string): Promise<unknown> =>
          client.run(`r = AsyncResult("${taskId}", backend=backend)\nresult = ${code}`);
        expect(await read("ours", "repr(r.get(timeout=5))")).toBe(`{'a': [1, 'ü', b'\\x00\\xff']}`);
        expect(await read("lost", "repr(r.info)")).toBe("OutOfStock('apple', 3)");
        await Promise.all([app.close(), client[Symbol.asyncDispose]()]);
      });

      it("keeps results uncompressed whatever resultCompression says, as Celery does", async ({ skip }) => {
        skip(version !== "5.7.0", "result_compression came with Celery 5.7");
        const fresh = await server.fresh();
        const side = pythonSide(fresh, pythons[version] ?? "");
        const client = new PythonClient({ ...side, settings: { ...side.settings, result_compression: "gzip" } });
        const { app, logged } = testApp({ backend: fresh.typescript, timezone, resultCompression: "gzip" });
        await client.run("app.backend.store_result('theirs', 'x' * 500, 'SUCCESS')");
        const meta = taskMeta({
          taskId: "ours",
          state: "SUCCESS",
          result: "x".repeat(500),
          now: new Date().toISOString(),
        });
        await (await app.backend()).storeResult(meta, { replyTo: null, correlationId: "ours" });
        expect(logged("cannot store compressed results")).toHaveLength(1);
        expect(await app.asyncResult("theirs").get(within)).toBe("x".repeat(500));
        expect(await client.run("AsyncResult('ours').get(timeout=5)")).toBe("x".repeat(500));
        const { result } = await client.run<{ result: string[] }>(
          `{"result": [bytes(value).decode() for value in __import__("sqlalchemy").create_engine(app.conf.result_backend.split("+", 1)[1]).connect().exec_driver_sql("SELECT result FROM celery_taskmeta").scalars()]}`,
        );
        expect(result).toEqual([JSON.stringify("x".repeat(500)), JSON.stringify("x".repeat(500))]);
        await Promise.all([app.close(), client[Symbol.asyncDispose]()]);
      });

      it("is a database that both may make at the same time", async () => {
        for (let round = 0; round < 3; round++) {
          const { app, client } = sides(await server.fresh(), pythons[version] ?? "", compatibility);
          await client.run("True");
          const [found] = await Promise.all([
            client.run("app.backend.store_result('theirs', 1, 'SUCCESS') and AsyncResult('theirs').get(timeout=5)"),
            (await app.backend()).storeResult(
              taskMeta({ taskId: "ours", state: "SUCCESS", result: 2, now: new Date().toISOString() }),
              { replyTo: null, correlationId: "ours" },
            ),
          ]);
          expect(found).toBe(1);
          expect(await app.asyncResult("theirs").get(within)).toBe(1);
          expect(await client.run("AsyncResult('ours').get(timeout=5)")).toBe(2);
          await Promise.all([app.close(), client[Symbol.asyncDispose]()]);
        }
      });

      it("carries results between workers of both languages", async () => {
        const fresh = await server.fresh();
        const queues = { python: `python-${randomUUID()}`, typescript: `typescript-${randomUUID()}` };
        const side = { ...pythonSide(fresh, pythons[version] ?? ""), broker: inject("redisUrl"), queue: queues.python };
        const test = testApp({ backend: fresh.typescript, compatibility, taskDefaultQueue: queues.typescript });
        const client = new PythonClient(side);
        test.app.task("typescript.add", (x: number, y: number) => x + y);
        test.app.task("typescript.fail", (message: string) => {
          throw new RangeError(message);
        });
        const [worker] = await Promise.all([PythonWorker.start(side), test.start()]);
        const send = (name: string, args: unknown[]) => test.app.sendTask(name, args, { queue: queues.python });
        expect(await (await send("tasks.add", [2, 3])).get(within)).toBe(5);
        const failed = await (await send("tasks.out_of_stock", ["apple", 3])).get(within).catch((e: unknown) => e);
        expect(failed).toMatchObject({ type: "OutOfStock", module: "tasks", args: ["apple", 3] });
        const sent = (call: string) =>
          client.run(`app.send_task(${call}, queue="${queues.typescript}").get(timeout=20)`);
        expect(await sent(`"typescript.add", (2, 3)`)).toBe(5);
        await expect(sent(`"typescript.fail", ("no such thing",)`)).rejects.toMatchObject({ type: "ValueError" });
        await Promise.all([test.app.close(), client[Symbol.asyncDispose](), worker[Symbol.asyncDispose]()]);
      });
    });

    it("has the same tables whoever made them", async () => {
      const made: unknown[] = [];
      for (const maker of ORDERS) {
        const fresh = await server.fresh();
        const { app, client } = sides(fresh, pythons["5.7.0"] ?? "", "5.7");
        if (maker === ORDERS[1]) await (await app.backend()).getTaskMeta("none");
        else await client.run("app.backend.get_state('none')");
        made.push(await client.run(DESCRIBE));
        await Promise.all([app.close(), client[Symbol.asyncDispose]()]);
      }
      expect(made[0]).toMatchObject({ celery_taskmeta: expect.anything(), celery_tasksetmeta: expect.anything() });
      expect(made[1]).toEqual(made[0]);
    });
  });
}

function pythonSide(fresh: FreshDatabase, python: string) {
  const settings = { timezone, result_extended: true };
  return { python, broker: "memory://", backend: fresh.python, queue: "unused", settings };
}

function sides(fresh: FreshDatabase, python: string, compatibility: ReturnType<typeof compatibilityOf>) {
  const { app } = testApp({ backend: fresh.typescript, compatibility, timezone });
  return { app, client: new PythonClient(pythonSide(fresh, python)) };
}

/** The moment with this zone's offset, as a worker's clock says it. */
function nowIn(timeZone: string): string {
  const parts = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "medium" });
  const offset = new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" }).formatToParts(new Date());
  const name = offset.find((part) => part.type === "timeZoneName")?.value.slice(3);
  return `${parts.format(new Date()).replace(" ", "T")}${name || "+00:00"}`;
}

/** Names for Python: a request as a worker has it, and what stands in a row's `date_done`, in seconds. */
const SETUP = `
from celery.result import GroupResult
from types import SimpleNamespace
from datetime import date, datetime, timezone
from decimal import Decimal
from uuid import UUID
from tasks import OutOfStock
import sqlalchemy as sa
request = SimpleNamespace(task="tasks.add", args=(1, "ü"), kwargs={"k": [1.5]}, hostname="w@h", retries=2, id="r",
    delivery_info={"routing_key": "q"}, group=None, parent_id=None, children=[AsyncResult("child")],
    stamps={"s": ["x"]}, stamped_headers=["s"])
VALUES = {"when": datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc), "day": date(2031, 5, 6), "cost": Decimal("1.10"),
    "key": UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), "raw": b"\\x00\\xff"}
engine = sa.create_engine(app.conf.result_backend.split("+", 1)[1])
def stored_date(task_id):
    with engine.connect() as connection:
        query = sa.text("SELECT date_done FROM celery_taskmeta WHERE task_id = :id")
        found = connection.execute(query, {"id": task_id}).scalar()
    found = datetime.fromisoformat(found) if isinstance(found, str) else found
    return (found - datetime(2020, 1, 1)).total_seconds()
`;

/** All that SQLAlchemy can say of the tables. */
const DESCRIBE = `
import sqlalchemy as sa
engine = sa.create_engine(app.conf.result_backend.split("+", 1)[1])
inspector = sa.inspect(engine)
result = {table: {
    "columns": [{key: str(value) for key, value in column.items()} for column in inspector.get_columns(table)],
    "primary": inspector.get_pk_constraint(table), "unique": inspector.get_unique_constraints(table),
    "indexes": sorted(inspector.get_indexes(table), key=str),
} for table in ("celery_taskmeta", "celery_tasksetmeta")}
result["tables"] = sorted(inspector.get_table_names())
if engine.dialect.supports_sequences:
    result["sequences"] = sorted(inspector.get_sequence_names())
`;
