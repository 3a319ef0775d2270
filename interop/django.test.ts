import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { Decimal } from "../protocol/python/decimal.ts";
import { type MetaInput, taskMeta } from "../protocol/result/meta.ts";
import { type Celery, chord, DateTime, Float, TaskError, TaskRevokedError } from "../src/index.ts";
import { type TestApp, testApp } from "../test/support/app.ts";
import { type DatabaseServer, databaseKinds } from "./databases.ts";
import { DJANGO_KINDS, type DjangoDatabase, djangoDatabase, djangoSide, migrate } from "./django.ts";
import { PythonClient, PythonError, type PythonSide, PythonWorker } from "./python.ts";
import { madeVenv } from "./venv.ts";

const timezone = "Europe/Berlin";
const within = { timeout: 30 };
const hasPython = inject("python") !== "";

for (const kind of (await databaseKinds()).filter(({ name }) => DJANGO_KINDS.has(name))) {
  const lacks = hasPython ? kind.lacks : "Python 3";
  const title = `results in Django's ${kind.name}${lacks ? ` (needs ${lacks}: script/setup installs it)` : ""}`;
  describe.skipIf(lacks)(title, () => {
    let server: DatabaseServer;
    let python: string;
    let database: DjangoDatabase;
    let app: Celery;
    let client: PythonClient;
    let id: string;

    beforeAll(async () => {
      server = await kind.start();
      python = (await madeVenv("5.7.0", "django")) ?? "";
      database = djangoDatabase(await server.fresh());
      await migrate(python, database);
      app = typescriptSide(database).app;
      client = await pythonClient(
        djangoSide(python, database, { broker: "memory://", queue: "unused", settings: { timezone } }),
      );
    }, 240_000);

    afterAll(async () => {
      await Promise.all([app?.close(), client?.[Symbol.asyncDispose]()]);
      await server?.stop();
    });

    /** Stores a result in Python. @param args of `store_result` after the id, as Python */
    async function fromPython(args: string): Promise<void> {
      id = randomUUID();
      await client.run(`app.backend.store_result(${JSON.stringify(id)}, ${args})`);
    }

    async function fromTypescript(state: string, result: unknown, more: Partial<MetaInput> = {}): Promise<void> {
      id = randomUUID();
      const meta = taskMeta({ taskId: id, state, result, now: new Date().toISOString(), ...more });
      await (await app.backend()).storeResult(meta, { replyTo: null, correlationId: id }, more.request);
    }

    /** Asks Python's AsyncResult. @param code with `r` for it */
    function asked(code: string): Promise<unknown> {
      return client.run(`r = AsyncResult(${JSON.stringify(id)})\nresult = ${code}`);
    }

    async function raised(): Promise<PythonError> {
      const error = await asked("r.get(timeout=10)").catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(PythonError);
      return error as PythonError;
    }

    /** What stands in the row, as Django's ORM has it. */
    function row(): Promise<Record<string, unknown>> {
      return client.run(`row(${JSON.stringify(id)})`);
    }

    it("TypeScript reads what Python returned", async () => {
      await fromPython(
        `{"a": [1, 2.5, None, "grüße", 2**70], "when": NOW, "cost": Decimal("1.10"), "raw": b"\\x00\\xff"}, "SUCCESS"`,
      );
      expect(await app.asyncResult(id).get(within)).toEqual({
        a: [1, 2.5, null, "grüße", 2n ** 70n],
        when: new DateTime("2031-05-06T07:08:09.123456+00:00"),
        cost: new Decimal("1.10"),
        raw: new Uint8Array([0, 255]),
      });
      await fromPython(`None, "SUCCESS"`);
      expect(await app.asyncResult(id).get(within)).toBeNull();
    });

    it("Python reads what TypeScript returned", async () => {
      await fromTypescript("SUCCESS", { a: [1, new Float(1), null, "grüße", 2n ** 70n], cost: new Decimal("1.10") });
      expect(await asked("repr(r.get(timeout=10))")).toBe(
        "{'a': [1, 1.0, None, 'grüße', 1180591620717411303424], 'cost': Decimal('1.10')}",
      );
      await fromTypescript("SUCCESS", null);
      expect(await asked("[r.state, r.get(timeout=10)]")).toEqual(["SUCCESS", null]);
    });

    it("TypeScript raises what Python raised", async () => {
      await fromPython(`OutOfStock("apple", [3]), "FAILURE", traceback="Traceback: bad", request=request`);
      const error = await app
        .asyncResult(id)
        .get(within)
        .catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(TaskError);
      expect(error).toMatchObject({ type: "OutOfStock", module: "shop.tasks", args: ["apple", [3]] });
      expect(error).toMatchObject({ traceback: "Traceback: bad" });
    });

    it("Python raises what TypeScript raised, by its class", async () => {
      const stored = (type: string, module: string, args: unknown[]) => ({
        exc_type: type,
        exc_message: args,
        exc_module: module,
      });
      await fromTypescript("FAILURE", stored("ValueError", "builtins", ["bad", 1]), { traceback: "Traceback: bad\0" });
      expect(await raised()).toMatchObject({ type: "ValueError", module: "builtins", args: ["'bad'", "1"] });
      expect(await asked("r.traceback")).toBe("Traceback: bad\uFFFD");
      await fromTypescript("FAILURE", stored("OutOfStock", "shop.tasks", ["apple", [3]]));
      expect(await raised()).toMatchObject({ type: "OutOfStock", module: "shop.tasks", args: ["'apple'", "[3]"] });
    });

    it("either side sees that the other retries, revoked a task, or is on its way", async () => {
      await fromPython(`ValueError("not yet"), "RETRY", traceback="tb"`);
      expect(await app.asyncResult(id).state()).toBe("RETRY");
      expect(await app.asyncResult(id).info()).toMatchObject({ type: "ValueError", args: ["not yet"] });
      await fromTypescript("RETRY", { exc_type: "KeyError", exc_message: ["k"], exc_module: "builtins" });
      expect(await asked("[r.state, repr(r.info)]")).toEqual(["RETRY", "KeyError('k')"]);
      id = randomUUID();
      await client.run(`app.backend.mark_as_revoked(${JSON.stringify(id)}, "revoked")`);
      await expect(app.asyncResult(id).get(within)).rejects.toBeInstanceOf(TaskRevokedError);
      await fromTypescript("REVOKED", {
        exc_type: "TaskRevokedError",
        exc_message: ["revoked"],
        exc_module: "celery.exceptions",
      });
      expect(await raised()).toMatchObject({ type: "TaskRevokedError", args: ["'revoked'"] });
      await fromPython(`{"done": 3}, "PROGRESS"`);
      expect([await app.asyncResult(id).state(), await app.asyncResult(id).info()]).toEqual(["PROGRESS", { done: 3 }]);
      await fromTypescript("STARTED", { pid: 1, hostname: "me" });
      expect(await asked("[r.state, r.info]")).toEqual(["STARTED", { pid: 1, hostname: "me" }]);
    });

    it.each([
      ["SUCCESS", "3", 3],
      ["STARTED", `{"pid": 1}`, { pid: 1 }],
      ["FAILURE", `KeyError("k")`, { exc_type: "KeyError", exc_message: ["k"], exc_module: "builtins" }],
    ])("both write the same row of %s, column by column", async (state, code, result) => {
      await fromPython(`${code}, "${state}", traceback="tb", request=request`);
      const { task_id: _, ...theirs } = await row();
      await fromTypescript(state, result, { traceback: "tb", request: REQUEST, extended: true });
      const { task_id: __, ...ours } = await row();
      expect(ours).toEqual(theirs);
      expect(ours).toMatchObject({ task_args: `"(1, '\\u00fc')"`, meta: expect.stringContaining("child") });
      const meta = await (await app.backend()).getTaskMeta(id);
      expect(meta).toMatchObject({
        name: "shop.add",
        args: "(1, 'ü')",
        kwargs: "{'k': 1.5}",
        worker: "w@h",
        colour: "red",
      });
      expect(meta.children).toEqual([[["child", null], null]]);
    });

    it("both keep when a row was new, when its task began and when it was last written", async () => {
      const order = `[row.date_created < row.date_started < row.date_done < now()]`;
      const query = () =>
        client.run(
          `from django.utils.timezone import now\nrow = TaskResult.objects.get(task_id="${id}")\nresult = ${order}`,
        );
      const states = ["RECEIVED", "STARTED", "PROGRESS"];
      await fromPython(`None, "RECEIVED"`);
      for (const state of states) await client.run(`app.backend.store_result("${id}", {}, "${state}")`);
      expect(await query()).toEqual([true]);
      await fromTypescript("RECEIVED", null);
      for (const state of states) {
        // The clock of a SQLite file shows milliseconds.
        await new Promise((resolve) => setTimeout(resolve, 20));
        const meta = taskMeta({ taskId: id, state, result: {}, now: new Date().toISOString() });
        await (await app.backend()).storeResult(meta, { replyTo: null, correlationId: id });
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await query()).toEqual([true]);
      const { date_done } = await (await app.backend()).getTaskMeta(id);
      const theirs = Number(await client.run(`TaskResult.objects.get(task_id="${id}").date_done.timestamp()`));
      expect(Math.abs(new Date(date_done ?? "").getTime() / 1000 - theirs)).toBeLessThan(0.01);
    });

    it("either side finds the other's saved groups, and deletes them", async () => {
      id = randomUUID();
      await client.run(
        `app.GroupResult("${id}", [app.AsyncResult("m1"), app.GroupResult("g2", [app.AsyncResult("m2")])]).save()`,
      );
      const backend = await app.backend();
      const member = (name: string) => ({ id: name, parent: null, results: null });
      const group = { id, parent: null, results: [member("m1"), { id: "g2", parent: null, results: [member("m2")] }] };
      expect(await backend.restoreGroup(id)).toEqual(group);
      await backend.deleteGroup(id);
      expect(await client.run(`SavedGroup.objects.filter(group_id="${id}").count()`)).toBe(0);
      await backend.saveGroup({ ...group, parent: member("p") });
      expect(await client.run(`repr(GroupResult.restore("${id}").as_tuple())`)).toBe(
        `(('${id}', (('p', None), None)), [(('m1', None), None), (('g2', None), [(('m2', None), None)])])`,
      );
      await client.run(`GroupResult.restore("${id}").delete()`);
      expect(await backend.restoreGroup(id)).toBeNull();
    });

    it("either side forgets, and drops what has expired", async () => {
      await fromPython(`1, "SUCCESS"`);
      await app.asyncResult(id).forget();
      expect(await asked("r.state")).toBe("PENDING");
      await fromTypescript("SUCCESS", 1);
      await asked("r.forget()");
      expect(await app.asyncResult(id).state()).toBe("PENDING");
      const old = { now: new Date(Date.now() - 90_000_000).toISOString() };
      await fromTypescript("SUCCESS", 1, old);
      await client.run("app.backend.cleanup()");
      expect(await app.asyncResult(id).state()).toBe("PENDING");
      await fromPython(`1, "SUCCESS"`);
      await (await app.backend()).cleanup?.(new Date());
      expect(await asked("r.state")).toBe("SUCCESS");
      await (await app.backend()).cleanup?.(new Date(Date.now() + 90_000_000));
      expect(await asked("r.state")).toBe("PENDING");
    });

    it.each(["msgpack", "yaml", "pickle"])("both read and write results as %s", async (serializer) => {
      const settings = { timezone, result_serializer: serializer, accept_content: ["json", serializer] };
      const other = await pythonClient(
        djangoSide(python, database, { broker: "memory://", queue: "unused", settings }),
      );
      const own = typescriptSide(database, { resultSerializer: serializer, acceptContent: ["json", serializer] }).app;
      const [theirs, ours] = [randomUUID(), randomUUID()];
      await other.run(
        `app.backend.store_result("${theirs}", {"a": [1, "ü", b"\\x00\\xff"]}, "SUCCESS", request=request)`,
      );
      expect(await own.asyncResult(theirs).get(within)).toEqual({ a: [1, "ü", new Uint8Array([0, 255])] });
      const meta = taskMeta({
        taskId: ours,
        state: "SUCCESS",
        result: { a: [1, "ü", new Uint8Array([0, 255])] },
        now: new Date().toISOString(),
      });
      await (await own.backend()).storeResult(meta, { replyTo: null, correlationId: ours });
      expect(await other.run(`repr(AsyncResult("${ours}").get(timeout=10))`)).toBe(`{'a': [1, 'ü', b'\\x00\\xff']}`);
      // A row says what it is: the setting of whoever reads it does not matter, where Python's has to be the same.
      const reader = typescriptSide(database, { acceptContent: ["json", serializer] }).app;
      expect(await reader.asyncResult(theirs).get(within)).toEqual({ a: [1, "ü", new Uint8Array([0, 255])] });
      await Promise.all([own.close(), reader.close(), other[Symbol.asyncDispose]()]);
    });

    describe("with workers of both languages", () => {
      const queues = { python: `python-${randomUUID()}`, typescript: `typescript-${randomUUID()}` };
      let side: PythonSide;
      let worker: PythonWorker;
      let test: TestApp;
      let sender: PythonClient;

      beforeAll(async () => {
        side = djangoSide(python, database, {
          broker: inject("redisUrl"),
          queue: queues.python,
          settings: { timezone },
        });
        test = typescriptSide(database, { taskDefaultQueue: queues.typescript, resultExtended: true });
        test.app.task("typescript.add", (x: number, y: number) => x + y);
        test.app.task("typescript.tsum", (numbers: number[]) => numbers.reduce((sum, n) => sum + n, 0));
        test.app.task("typescript.fail", (message: string) => {
          throw new RangeError(message);
        });
        const started = await Promise.all([PythonWorker.start(side), pythonClient(side), test.start()]);
        [worker, sender] = started;
      }, 120_000);

      afterAll(() =>
        Promise.all([test?.app.close(), sender?.[Symbol.asyncDispose](), worker?.[Symbol.asyncDispose]()]),
      );

      const toTypescript = (call: string): string => `signature(${call}, queue="${queues.typescript}")`;
      const toPython = (call: string): string => `signature(${call}, queue="${queues.python}")`;

      it("each gets what the other returns and raises", async () => {
        const send = (name: string, args: unknown[]) => test.app.sendTask(name, args, { queue: queues.python });
        expect(await (await send("shop.add", [2, 3])).get(within)).toBe(5);
        const failed = await (await send("shop.out_of_stock", ["apple", 3])).get(within).catch((e: unknown) => e);
        expect(failed).toMatchObject({ type: "OutOfStock", module: "shop.tasks", args: ["apple", 3] });
        const retried = await send("shop.flaky", []);
        await expect.poll(() => retried.state(), { timeout: 30_000 }).toBe("RETRY");
        expect(await sender.run(`${toTypescript('"typescript.add", (2, 3)')}.delay().get(timeout=30)`)).toBe(5);
        const raising = sender.run(`${toTypescript('"typescript.fail", ("no such thing",)')}.delay().get(timeout=30)`);
        await expect(raising).rejects.toMatchObject({ type: "ValueError", args: ["'no such thing'"] });
      });

      it("Django's admin shows the tasks that TypeScript ran", async () => {
        const sent = `r = ${toTypescript('"typescript.add", (2, 3)')}.apply_async(headers={"periodic_task_name": "every night"})`;
        id = String(await sender.run(`${sent}\nr.get(timeout=30)\nresult = r.id`));
        const page = await client.run<[number, string]>(`admin("/admin/django_celery_results/taskresult/?q=${id}")`);
        expect(page[0]).toBe(200);
        for (const shown of [id, "SUCCESS", "typescript.add", "every night", "worker-"])
          expect(page[1]).toContain(shown);
        const detail = await client.run<[number, string]>(
          `admin(f"/admin/django_celery_results/taskresult/{TaskResult.objects.get(task_id='${id}').pk}/change/")`,
        );
        expect(detail[0]).toBe(200);
        for (const shown of [id, "(2, 3)", "application/json"]) expect(detail[1]).toContain(shown);
      });

      it.each(["shop.tsum", "typescript.tsum"])("a chord of both, sent from Python, ends in %s", async (body) => {
        const parts = Array.from({ length: 6 }, (_, n) =>
          n % 2 ? toPython(`"shop.add", (${n}, 1)`) : toTypescript(`"typescript.add", (${n}, 1)`),
        );
        const end = body === "shop.tsum" ? toPython(`"shop.tsum"`) : toTypescript(`"typescript.tsum"`);
        expect(await sender.run(`chord([${parts.join(", ")}], ${end}).delay().get(timeout=30)`)).toBe(21);
        expect(await sender.run("ChordCounter.objects.count()")).toBe(0);
      });

      it.each(["shop.tsum", "typescript.tsum"])("a chord of both, sent from TypeScript, ends in %s", async (body) => {
        const at = (name: string) => ({ queue: name.startsWith("shop.") ? queues.python : queues.typescript });
        const parts = Array.from({ length: 6 }, (_, n) => {
          const name = n % 2 ? "shop.add" : "typescript.add";
          return test.app.remote<[number, number], number>(name, at(name)).s(n, 1);
        });
        const end = test.app.remote<[number[]], number>(body, at(body));
        const result = await chord(parts, end.s()).applyAsync();
        expect(await result.get(within)).toBe(21);
        expect(await sender.run("ChordCounter.objects.count()")).toBe(0);
      });

      it("a part that fails in either language fails the chord", async () => {
        for (const bad of [
          toTypescript('"typescript.fail", ("bad",)'),
          toPython('"shop.out_of_stock", ("apple", 3)'),
        ]) {
          const parts = [toPython('"shop.add", (1, 1)'), bad, toTypescript('"typescript.add", (1, 1)')];
          // Not of the result that sending gives, which raises what the part raised.
          const id = `chord([${parts.join(", ")}], ${toPython('"shop.tsum"')}).delay().id`;
          const code = `AsyncResult(${id}).get(timeout=30)`;
          await expect(sender.run(code)).rejects.toMatchObject({ type: "ChordError", module: "celery.exceptions" });
        }
      });
    });
  });
}

/** What {@link SETUP}'s `request` is in Python. */
const REQUEST = {
  name: "shop.add",
  args: [1, "ü"],
  kwargs: { k: 1.5 },
  argsrepr: "(1, 'ü')",
  kwargsrepr: "{'k': 1.5}",
  periodicTaskName: "every night",
  meta: { colour: "red" },
  hostname: "w@h",
  children: [[["child", null], null]] as never,
};

/** Names for Python; a row as a dict, without the columns that differ from row to row. */
const SETUP = `
import django
django.setup()
from datetime import datetime, timezone
from decimal import Decimal
from types import SimpleNamespace
from celery.result import GroupResult
from django.contrib.auth.models import User
from django.test import Client
from django_celery_results.models import ChordCounter, GroupResult as SavedGroup, TaskResult
from shop.tasks import OutOfStock
NOW = datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc)
request = SimpleNamespace(task="shop.add", args=(1, "ü"), kwargs={"k": 1.5}, argsrepr="(1, 'ü')", kwargsrepr="{'k': 1.5}",
    periodic_task_name="every night", meta={"colour": "red"}, hostname="w@h", retries=2, id="r", group=None, parent_id=None,
    delivery_info={"routing_key": "q"}, children=[AsyncResult("child")])
def row(task_id):
    values = TaskResult.objects.filter(task_id=task_id).values().get()
    return {name: value for name, value in values.items() if name not in ("id", "date_created", "date_done")} | {
        "date_started": values["date_started"] is not None}
def admin(path):
    user, _ = User.objects.get_or_create(username="admin", is_staff=True, is_superuser=True)
    browser = Client()
    browser.force_login(user)
    page = browser.get(path)
    return [page.status_code, page.content.decode()]
`;

async function pythonClient(side: PythonSide): Promise<PythonClient> {
  const client = new PythonClient(side);
  await client.run(SETUP);
  return client;
}

function typescriptSide({ url }: DjangoDatabase, settings: object = {}): TestApp {
  return testApp({ backend: "django-db", djangoDatabaseUrl: url, timezone, ...settings });
}
