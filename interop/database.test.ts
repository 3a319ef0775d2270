import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { pickleSerializer, TaskRevokedError } from "../src/index.ts";
import { testApp } from "../test/support/app.ts";
import { type DatabaseServer, databaseKinds, type FreshDatabase } from "./databases.ts";
import { EXTENDED, exerciseResults, VALUES } from "./exercise/results.ts";
import { PythonClient, PythonWorker } from "./python.ts";
import { caught, ResultSides } from "./result-sides.ts";
import type { ResultStore } from "./result-stores.ts";
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
const hour = 3_600_000;
const hasPython = inject("python") !== "";

/** Every state is written and read by the exercise, with Celery 5.7. */
const UNABLE = {
  bytes: "the tables and rows are compared below",
  compression: "Celery compresses nothing there, which is seen below",
  prefix: "rows have no keys",
};

for (const { name, lacks: missing, start } of await databaseKinds()) {
  const lacks = hasPython ? missing : "Python 3";
  describe.skipIf(lacks)(`results in ${name}${lacks ? ` (needs ${lacks}: script/setup installs it)` : ""}`, () => {
    let server: DatabaseServer;
    let store: ResultStore;

    beforeAll(async () => {
      server = await start();
      const { typescript, python } = await server.fresh();
      store = { backend: typescript, pythonBackend: python, settings: { timezone }, stop: async () => {} };
    });

    afterAll(() => server?.stop());

    exerciseResults({ name, lacks, unable: UNABLE, start: async () => store }, () => store);

    describe.each(VERSIONS)("shared with Celery $version", ({ version, compatibility }) => {
      let python: string;
      let client: PythonClient;
      let apps = 0;

      beforeAll(async () => {
        python = inject("pythons")[version] ?? (await madeVenv(version)) ?? "";
        client = new PythonClient(pythonSide(await server.fresh(), python));
        await client.run(SETUP);
      });

      afterAll(() => client?.[Symbol.asyncDispose]());

      /** Both sides on a database. @param settings in Python's names, of both */
      async function sidesOn(fresh: FreshDatabase, settings: Record<string, unknown> = {}): Promise<ResultSides> {
        const { app } = testApp({ backend: fresh.typescript, compatibility, timezone, ...settings });
        const name = `app_${apps++}`;
        await client.run(`${name} = app_with("${fresh.python}", **${JSON.stringify(settings)})`);
        return new ResultSides(app, client, name);
      }

      it("is asked of the version that it names", async () => {
        expect(await client.run("__import__('celery').__version__")).toBe(version);
      });

      describe.each(ORDERS)("%s", (order) => {
        let sides: ResultSides;

        beforeAll(async () => {
          sides = await sidesOn(await server.fresh());
          const fromPython = (): Promise<unknown> => sides.asked("r.state");
          const fromTypescript = (): Promise<unknown> => sides.app.asyncResult("none").state();
          const [first, second] = order === ORDERS[0] ? [fromPython, fromTypescript] : [fromTypescript, fromPython];
          await first();
          await second();
        });

        afterAll(() => sides?.app.close());

        it("either side reads what the other returned", async () => {
          await sides.fromPython(`{"a": [1, 2.5, None, "grüße", 2**70], **VALUES}, "SUCCESS"`);
          const value = { a: [1, 2.5, null, "grüße", 2n ** 70n], ...VALUES };
          expect(await sides.get()).toEqual(value);
          await sides.fromTypescript("SUCCESS", value);
          // Up to 5.2, what is typed in JSON is a dict; in a database it is a pickle all the same.
          const same = `r.get(timeout=5) == {"a": [1, 2.5, None, "grüße", 2**70], **VALUES} or repr(r.get())`;
          expect(await sides.asked(same)).toBe(true);
          await sides.fromPython(`None, "SUCCESS"`);
          expect(await sides.get()).toBeNull();
          await sides.fromTypescript("SUCCESS", null);
          expect(await sides.asked("[r.state, r.get(timeout=5)]")).toEqual(["SUCCESS", null]);
        });

        it("either side raises what the other raised, by its class", async () => {
          await sides.fromPython(`OutOfStock("apple", [3, {"in": None}]), "FAILURE", traceback="Traceback: bad"`);
          expect(await caught(sides.get())).toMatchObject({
            type: "OutOfStock",
            module: "tasks",
            args: ["apple", [3, { in: null }]],
            traceback: "Traceback: bad",
          });
          await sides.fromPython(`ValueError(KeyError("inner"), {1}), "FAILURE"`);
          expect(await caught(sides.get())).toMatchObject({ args: ["KeyError('inner')", "{1}"] });
          const own = { exc_type: "OutOfStock", exc_message: ["apple", 3], exc_module: "tasks" };
          await sides.fromTypescript("FAILURE", own, { traceback: "Traceback: bad" });
          expect(await sides.raised()).toMatchObject({ type: "OutOfStock", module: "tasks", args: ["'apple'", "3"] });
          expect(await sides.asked("r.traceback")).toBe("Traceback: bad");
        });

        it("either side sees the states that the other writes", async () => {
          await sides.fromPython(`ValueError("not yet"), "RETRY", traceback="tb"`);
          expect(await sides.seen("RETRY")).toMatchObject({ type: "ValueError", args: ["not yet"] });
          await sides.fromTypescript("RETRY", { exc_type: "KeyError", exc_message: ["k"], exc_module: "builtins" });
          expect(await sides.asked("[r.state, repr(r.info)]")).toEqual(["RETRY", "KeyError('k')"]);
          await sides.revokedByPython();
          expect(await caught(sides.get())).toBeInstanceOf(TaskRevokedError);
          const revoked = { exc_type: "TaskRevokedError", exc_message: ["revoked"], exc_module: "celery.exceptions" };
          await sides.fromTypescript("REVOKED", revoked);
          expect(await sides.raised()).toMatchObject({ type: "TaskRevokedError", args: ["'revoked'"] });
          await sides.fromPython(`{"done": 3}, "PROGRESS"`);
          expect(await sides.seen("PROGRESS")).toEqual({ done: 3 });
          await sides.fromTypescript("PROGRESS", { done: 3 });
          expect(await sides.asked("[r.state, r.info]")).toEqual(["PROGRESS", { done: 3 }]);
        });

        it("either side reads the other's extended results", async () => {
          await sides.fromPython(`3, "SUCCESS", request=extended()`);
          const meta = await (await sides.app.backend()).getTaskMeta(sides.id);
          expect(meta).toMatchObject({ result: 3, ...EXTENDED });
          const children = [[["child", null], null]] as never;
          const more = { hostname: "w@h", routingKey: "q", children, stampedHeaders: ["a"], stamps: { a: [1] } };
          await sides.fromTypescript("SUCCESS", 3, { request: { ...EXTENDED, ...more }, extended: true });
          const code = "[r.name, list(r.args), r.kwargs, r.worker, r.retries, r.queue]";
          expect(await sides.asked(code)).toEqual(["tasks.add", [1, "ü"], { k: [1.5] }, "w@h", 2, "q"]);
          if (version !== "5.7.0") return;
          expect(meta).toMatchObject({ stamped_headers: ["s"], s: ["x"], children });
          expect(await sides.asked("[[c.id for c in r.children], r._get_task_meta()['a']]")).toEqual([["child"], [1]]);
        });

        it("either side finds the other's saved groups", async () => {
          const [theirs, ours] = [randomUUID(), randomUUID()];
          const { python: app } = sides;
          const members = `[${app}.AsyncResult("m1"), ${app}.GroupResult("g2", [${app}.AsyncResult("m2")])]`;
          await client.run(`${app}.GroupResult("${theirs}", ${members}).save()`);
          const backend = await sides.app.backend();
          const member = (id: string) => ({ id, parent: null, results: null });
          const results = [member("m1"), { id: "g2", parent: null, results: [member("m2")] }];
          expect(await backend.restoreGroup(theirs)).toEqual({ id: theirs, parent: null, results });
          await backend.saveGroup({ id: ours, parent: member("p"), results });
          expect(await client.run(`repr(as_tuple(${app}.backend.restore_group("${ours}")))`)).toBe(
            `(('${ours}', (('p', None), None)), [(('m1', None), None), (('g2', None), [(('m2', None), None)])])`,
          );
        });

        it("either side drops what has expired, and leaves the rest", async () => {
          await sides.fromTypescript("SUCCESS", 1, { now: new Date(Date.now() - 30 * hour).toISOString() });
          await client.run(`${sides.python}.backend.cleanup()`);
          expect(await sides.app.asyncResult(sides.id).state()).toBe("PENDING");
          await sides.fromPython(`1, "SUCCESS"`);
          const { python: app } = sides;
          await client.run(`${app}.GroupResult("expiring", [${app}.AsyncResult("m")]).save()`);
          const backend = await sides.app.backend();
          await backend.cleanup?.(new Date(Date.now() + 20 * hour));
          expect(await sides.asked("r.state")).toBe("SUCCESS");
          await backend.cleanup?.(new Date(Date.now() + 30 * hour));
          const gone = `[r.state, ${app}.backend.restore_group("expiring", cache=False)]`;
          expect(await sides.asked(gone)).toEqual(["PENDING", null]);
        });

        // Celery before 5.7 changes any state in a database itself; 5.7 is asked both ways by the exercise.
        it("TypeScript does not change Python's SUCCESS", async () => {
          await sides.fromPython(`1, "SUCCESS"`);
          await sides.againFromTypescript("FAILURE", null);
          expect(await sides.asked("[r.state, r.result]")).toEqual(["SUCCESS", 1]);
        });

        it("both write the same moment alike", async ({ skip }) => {
          skip(/^5[.][0-4]/.test(version), "Celery before 5.5 writes what UTC's clock shows");
          await sides.fromPython(`1, "SUCCESS"`);
          const theirs = await client.run(`stored_date(${sides.python}, "${sides.id}")`);
          await sides.fromTypescript("SUCCESS", 1, { now: nowIn(timezone) });
          const ours = await client.run(`stored_date(${sides.python}, "${sides.id}")`);
          expect(Math.abs(Number(ours) - Number(theirs))).toBeLessThan(30);
        });
      });

      // The exercise does these, and has workers of both languages, with 5.7.
      const older = version === "5.7.0" ? [] : ["msgpack", "yaml", "pickle"];

      it.for(older)("holds results as %s, both ways", async (serializer) => {
        const settings = { result_serializer: serializer, accept_content: ["json", serializer] };
        const sides = await sidesOn(await server.fresh(), settings);
        sides.app.register(pickleSerializer({ exceptions: ["tasks.OutOfStock"] }));
        await sides.fromPython(`{"a": [1, "ü", b"\\x00\\xff"]}, "SUCCESS", request=extended()`);
        const value = { a: [1, "ü", new Uint8Array([0, 255])] };
        expect(await sides.get()).toEqual(value);
        const { args, kwargs } = EXTENDED;
        expect(await (await sides.app.backend()).getTaskMeta(sides.id)).toMatchObject({ args, kwargs });
        await sides.fromPython(`OutOfStock("apple", 3), "FAILURE"`);
        expect(await caught(sides.get())).toMatchObject({ type: "OutOfStock", module: "tasks", args: ["apple", 3] });
        await sides.fromTypescript("SUCCESS", value);
        expect(await sides.asked("repr(r.get(timeout=5))")).toBe(`{'a': [1, 'ü', b'\\x00\\xff']}`);
        await sides.fromTypescript("FAILURE", {
          exc_type: "OutOfStock",
          exc_message: ["apple", 3],
          exc_module: "tasks",
        });
        expect(await sides.asked("repr(r.info)")).toBe("OutOfStock('apple', 3)");
        await sides.app.close();
      });

      it("keeps results uncompressed whatever resultCompression says, as Celery does", async ({ skip }) => {
        skip(version !== "5.7.0", "result_compression came with Celery 5.7");
        const { app, logged } = testApp({ backend: store.backend, timezone, resultCompression: "gzip" });
        const name = `app_${apps++}`;
        await client.run(`${name} = app_with("${store.pythonBackend}", result_compression="gzip")`);
        const sides = new ResultSides(app, client, name);
        const row = () => client.run(`stored(${name}, "${sides.id}", "result").decode()`);
        await sides.fromPython(`"x" * 500, "SUCCESS"`);
        expect(await sides.get()).toBe("x".repeat(500));
        expect(await row()).toBe(JSON.stringify("x".repeat(500)));
        await sides.fromTypescript("SUCCESS", "x".repeat(500));
        expect(logged("cannot store compressed results")).toHaveLength(1);
        expect(await sides.asked("r.get(timeout=5)")).toBe("x".repeat(500));
        expect(await row()).toBe(JSON.stringify("x".repeat(500)));
        await app.close();
      });

      it("is a database that both may make at the same time", async () => {
        for (let round = 0; round < 3; round++) {
          const sides = await sidesOn(await server.fresh());
          const ours = new ResultSides(sides.app, client, sides.python);
          await Promise.all([sides.fromPython(`1, "SUCCESS"`), ours.fromTypescript("SUCCESS", 2)]);
          expect(await sides.get()).toBe(1);
          expect(await sides.asked("r.get(timeout=5)")).toBe(1);
          expect(await ours.get()).toBe(2);
          expect(await ours.asked("r.get(timeout=5)")).toBe(2);
          await sides.app.close();
        }
      });

      it.runIf(older.length > 0)("carries results between workers of both languages", async () => {
        const fresh = await server.fresh();
        const queues = { python: `python-${randomUUID()}`, typescript: `typescript-${randomUUID()}` };
        const side = { ...pythonSide(fresh, python), queue: queues.python };
        const test = testApp({ backend: fresh.typescript, compatibility, taskDefaultQueue: queues.typescript });
        test.app.task("typescript.fail", (message: string) => {
          throw new RangeError(message);
        });
        const [worker] = await Promise.all([PythonWorker.start(side), test.start()]);
        const send = (name: string, args: unknown[]) => test.app.sendTask(name, args, { queue: queues.python });
        expect(await (await send("tasks.add", [2, 3])).get(within)).toBe(5);
        const failed = await caught((await send("tasks.out_of_stock", ["apple", 3])).get(within));
        expect(failed).toMatchObject({ type: "OutOfStock", module: "tasks", args: ["apple", 3] });
        await client.run(`sender = app_with("${fresh.python}")`);
        const sent = client.run(
          `sender.send_task("typescript.fail", ("no such thing",), queue="${queues.typescript}").get(timeout=20)`,
        );
        await expect(sent).rejects.toMatchObject({ type: "ValueError" });
        await Promise.all([test.app.close(), worker[Symbol.asyncDispose]()]);
      });

      it("has the same tables whoever made them", async ({ skip }) => {
        skip(version !== "5.7.0", "TypeScript makes them with all columns of 5.7");
        const made: unknown[] = [];
        for (const maker of ORDERS) {
          const sides = await sidesOn(await server.fresh());
          if (maker === ORDERS[1]) await sides.app.asyncResult("none").state();
          else await sides.asked("r.state");
          made.push(await client.run(`tables(${sides.python})`));
          await sides.app.close();
        }
        expect(made[0]).toMatchObject({ celery_taskmeta: expect.anything(), celery_tasksetmeta: expect.anything() });
        expect(made[1]).toEqual(made[0]);
      });
    });
  });
}

function pythonSide(fresh: FreshDatabase, python: string) {
  const settings = { timezone, result_extended: true };
  return { python, broker: inject("redisUrl"), backend: fresh.python, queue: "unused", settings };
}

/** The moment with this zone's offset, as a worker's clock says it. */
function nowIn(timeZone: string): string {
  const parts = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "medium" });
  const offset = new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" }).formatToParts(new Date());
  const name = offset.find((part) => part.type === "timeZoneName")?.value.slice(3);
  return `${parts.format(new Date()).replace(" ", "T")}${name || "+00:00"}`;
}

/** Names for Python: what stands in a row, its `date_done` in seconds, and all that SQLAlchemy can say of the tables. */
const SETUP = `
from results import *
from tasks import OutOfStock
import sqlalchemy as sa
def engine(app):
    return sa.create_engine(app.backend.url)
def stored(app, task_id, column):
    with engine(app).connect() as connection:
        found = connection.execute(sa.text(f"SELECT {column} FROM celery_taskmeta WHERE task_id = :id"), {"id": task_id}).scalar()
    return bytes(found) if column == "result" else found
def stored_date(app, task_id):
    found = stored(app, task_id, "date_done")
    found = datetime.fromisoformat(found) if isinstance(found, str) else found
    return (found - datetime(2020, 1, 1)).total_seconds()
def tables(app):
    inspector = sa.inspect(engine(app))
    found = {table: {
        "columns": [{key: str(value) for key, value in column.items()} for column in inspector.get_columns(table)],
        "primary": inspector.get_pk_constraint(table), "unique": inspector.get_unique_constraints(table),
        "indexes": sorted(inspector.get_indexes(table), key=str),
    } for table in ("celery_taskmeta", "celery_tasksetmeta")}
    found["tables"] = sorted(inspector.get_table_names())
    if engine(app).dialect.supports_sequences:
        found["sequences"] = sorted(inspector.get_sequence_names())
    return found
`;
