import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { taskMeta } from "../protocol/result/meta.ts";
import { chord } from "../src/index.ts";
import { type TestApp, testApp } from "../test/support/app.ts";
import { type DatabaseServer, databaseKinds } from "./databases.ts";
import { DJANGO_KINDS, type DjangoDatabase, djangoDatabase, djangoSide, migrate } from "./django.ts";
import { exerciseResults } from "./exercise/results.ts";
import { PythonClient, type PythonSide, PythonWorker } from "./python.ts";
import { ResultSides } from "./result-sides.ts";
import type { ResultStore } from "./result-stores.ts";
import { madeVenv } from "./venv.ts";

const timezone = "Europe/Berlin";
const within = { timeout: 30 };
/** What a row keeps of a request is its own, and compared below. */
const UNABLE = {
  bytes: "rows are compared below",
  compression: "django-celery-results compresses nothing",
  extended: "rows keep texts of the arguments, compared below",
  final: "django-celery-results changes any state",
  prefix: "rows have no keys",
};

const hasPython = inject("python") !== "";

for (const kind of (await databaseKinds()).filter(({ name }) => DJANGO_KINDS.has(name))) {
  const lacks = hasPython ? kind.lacks : "Python 3";
  const title = `results in Django's ${kind.name}${lacks ? ` (needs ${lacks}: script/setup installs it)` : ""}`;
  describe.skipIf(lacks)(title, () => {
    let server: DatabaseServer;
    let python: string;
    let database: DjangoDatabase;
    let store: ResultStore;
    let sides: ResultSides;

    beforeAll(async () => {
      server = await kind.start();
      python = (await madeVenv("5.7.0", "django")) ?? "";
      database = djangoDatabase(await server.fresh());
      await migrate(python, database);
      const settings = { timezone };
      const side = djangoSide(python, database, { broker: inject("redisUrl"), queue: "unused", settings });
      const { queue: _, ...own } = side;
      store = {
        backend: "django-db",
        settings,
        own: { djangoDatabaseUrl: database.url },
        side: own,
        setup: "import django\ndjango.setup()",
        errors: "shop.tasks",
        stop: async () => {},
      };
      sides = new ResultSides(typescriptSide(database).app, await pythonClient(side));
    }, 240_000);

    afterAll(async () => {
      await Promise.all([sides?.app.close(), sides?.client[Symbol.asyncDispose]()]);
      await server?.stop();
    });

    exerciseResults({ name: kind.name, lacks, unable: UNABLE, start: async () => store }, () => store);

    /** What stands in the row, as Django's ORM has it. */
    function row(): Promise<Record<string, unknown>> {
      return sides.client.run(`row(${JSON.stringify(sides.id)})`);
    }

    it.each([
      ["SUCCESS", "3", 3],
      ["STARTED", `{"pid": 1}`, { pid: 1 }],
      ["FAILURE", `KeyError("k")`, { exc_type: "KeyError", exc_message: ["k"], exc_module: "builtins" }],
    ])("both write the same row of %s, column by column", async (state, code, result) => {
      await sides.fromPython(`${code}, "${state}", traceback="tb", request=request`);
      const { task_id: _, ...theirs } = await row();
      await sides.fromTypescript(state, result, { traceback: "tb", request: REQUEST, extended: true });
      const { task_id: __, ...ours } = await row();
      expect(ours).toEqual(theirs);
      expect(ours).toMatchObject({ task_args: `"(1, '\\u00fc')"`, meta: expect.stringContaining("child") });
      const meta = await (await sides.app.backend()).getTaskMeta(sides.id);
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
        sides.client.run(
          `from django.utils.timezone import now\nrow = TaskResult.objects.get(task_id="${sides.id}")\nresult = ${order}`,
        );
      const states = ["RECEIVED", "STARTED", "PROGRESS"];
      await sides.fromPython(`None, "RECEIVED"`);
      for (const state of states) await sides.client.run(`app.backend.store_result("${sides.id}", {}, "${state}")`);
      expect(await query()).toEqual([true]);
      await sides.fromTypescript("RECEIVED", null);
      for (const state of states) {
        // The clock of a SQLite file shows milliseconds.
        await new Promise((resolve) => setTimeout(resolve, 20));
        const meta = taskMeta({ taskId: sides.id, state, result: {}, now: new Date().toISOString() });
        await (await sides.app.backend()).storeResult(meta, { replyTo: null, correlationId: sides.id });
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await query()).toEqual([true]);
      const { date_done } = await (await sides.app.backend()).getTaskMeta(sides.id);
      const theirs = Number(
        await sides.client.run(`TaskResult.objects.get(task_id="${sides.id}").date_done.timestamp()`),
      );
      expect(Math.abs(new Date(date_done ?? "").getTime() / 1000 - theirs)).toBeLessThan(0.01);
    });

    it("a traceback may hold what a database cannot", async () => {
      await sides.fromTypescript("FAILURE", null, { traceback: "Traceback: bad\0" });
      expect(await sides.asked("r.traceback")).toBe("Traceback: bad\uFFFD");
    });

    it("either side drops what has expired", async () => {
      const old = { now: new Date(Date.now() - 90_000_000).toISOString() };
      await sides.fromTypescript("SUCCESS", 1, old);
      await sides.client.run("app.backend.cleanup()");
      expect(await sides.app.asyncResult(sides.id).state()).toBe("PENDING");
      await sides.fromPython(`1, "SUCCESS"`);
      await (await sides.app.backend()).cleanup?.(new Date());
      expect(await sides.asked("r.state")).toBe("SUCCESS");
      await (await sides.app.backend()).cleanup?.(new Date(Date.now() + 90_000_000));
      expect(await sides.asked("r.state")).toBe("PENDING");
    });

    it("a row says its serializer itself, whatever is set where it is read", async () => {
      const accept_content = ["json", "yaml"];
      await sides.client.run(
        `from results import app_with\nyaml = app_with(result_serializer="yaml", accept_content=["json", "yaml"])`,
      );
      sides.id = randomUUID();
      await sides.client.run(
        `yaml.backend.store_result("${sides.id}", {"a": [1, "ü", b"\\x00\\xff"]}, "SUCCESS", request=request)`,
      );
      const reader = typescriptSide(database, { accept_content }).app;
      expect(await reader.asyncResult(sides.id).get(within)).toEqual({ a: [1, "ü", new Uint8Array([0, 255])] });
      await reader.close();
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
        const id = String(await sender.run(`${sent}\nr.get(timeout=30)\nresult = r.id`));
        const page = await sides.client.run<[number, string]>(
          `admin("/admin/django_celery_results/taskresult/?q=${id}")`,
        );
        expect(page[0]).toBe(200);
        for (const shown of [id, "SUCCESS", "typescript.add", "every night", "worker-"])
          expect(page[1]).toContain(shown);
        const detail = await sides.client.run<[number, string]>(
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
from results import *
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
