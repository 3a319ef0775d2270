import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type MetaInput, taskMeta } from "../protocol/result/meta.ts";
import { type Celery, type GivenSettings, TaskError, TaskRevokedError } from "../src/index.ts";
import { testApp } from "../test/support/app.ts";
import { itUnless } from "../test/support/it-unless.ts";
import { PythonClient, PythonError, PythonWorker } from "./python.ts";
import { type ResultStore, resultStoreKinds } from "./result-stores.ts";

const within = { timeout: 20 };
const python = inject("python");

for (const kind of resultStoreKinds()) {
  const lacks = python ? kind.lacks : "Python 3";
  describe.skipIf(lacks)(`results in ${kind.name}${lacks ? ` (needs ${lacks})` : ""}`, () => {
    let store: ResultStore;
    let app: Celery;
    let client: PythonClient;
    let id: string;

    beforeAll(async () => {
      store = await kind.start();
      ({ app, client } = sides(store, { result_extended: true }));
      await client.run(SETUP);
    });

    afterAll(async () => {
      await Promise.all([app?.close(), client?.[Symbol.asyncDispose]()]);
      await store?.stop();
    });

    /** Stores a result in Python. @param args of `store_result` after the id, as Python */
    async function pythonStores(args: string): Promise<void> {
      id = randomUUID();
      await client.run(`app.backend.store_result(${JSON.stringify(id)}, ${args})`);
    }

    async function typescriptStores(state: string, result: unknown, more: Partial<MetaInput> = {}): Promise<void> {
      id = randomUUID();
      await storeIn(app, id, state, result, more);
    }

    /** Asks Python's AsyncResult. @param code with `r` for it */
    function asked(code: string): Promise<unknown> {
      return client.run(`r = AsyncResult(${JSON.stringify(id)})\nresult = ${code}`);
    }

    async function raised(): Promise<PythonError> {
      const error = await asked("r.get(timeout=20)").catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(PythonError);
      return error as PythonError;
    }

    it("TypeScript reads what Python returned", async () => {
      await pythonStores(`{"a": [1, 2.5, None, True, "grüße", 2**70, -1, 70000], "b": {}}, "SUCCESS"`);
      const value = await app.asyncResult(id).get(within);
      expect(value).toEqual({ a: [1, 2.5, null, true, "grüße", 2n ** 70n, -1, 70000], b: {} });
      await pythonStores(`None, "SUCCESS"`);
      expect(await app.asyncResult(id).get(within)).toBeNull();
    });

    it("Python reads what TypeScript returned", async () => {
      await typescriptStores("SUCCESS", { a: [1, 2.5, null, true, "grüße", 2n ** 70n, -1, 70000], b: {} });
      expect(await asked("repr(r.get(timeout=20))")).toBe(
        "{'a': [1, 2.5, None, True, 'grüße', 1180591620717411303424, -1, 70000], 'b': {}}",
      );
      await typescriptStores("SUCCESS", null);
      expect(await asked("[r.state, r.get(timeout=20)]")).toEqual(["SUCCESS", null]);
    });

    it("both write the same bytes", async () => {
      await pythonStores(`{"text": "grüße", "n": 1.0}, "SUCCESS"`);
      const theirs = (await store.raw(id))?.toString().replaceAll(id, "ID").replace(DATE, "DATE");
      await typescriptStores("SUCCESS", { text: "grüße", n: 1.5 }, { request: {}, extended: false });
      const ours = (await store.raw(id))?.toString().replaceAll(id, "ID").replace(DATE, "DATE").replace("1.5", "1.0");
      expect(ours).toBe(theirs?.replace('"children": null', '"children": []'));
    });

    it("TypeScript raises what Python raised", async () => {
      await pythonStores(`ValueError("bad", 1), "FAILURE", traceback="Traceback: bad"`);
      const error = await caught(app.asyncResult(id).get(within));
      expect(error).toBeInstanceOf(TaskError);
      expect(error).toMatchObject({ type: "ValueError", module: "builtins", args: ["bad", 1] });
      expect(error).toMatchObject({ traceback: "Traceback: bad" });
      await pythonStores(`Outer.Inner("deep", ["list"]), "FAILURE"`);
      expect(await caught(app.asyncResult(id).get(within))).toMatchObject({
        type: "Outer.Inner",
        module: "tasks",
        args: ["deep", ["list"]],
      });
    });

    it("Python raises what TypeScript raised, an error of the application's own by its class", async () => {
      const stored = { exc_type: "ValueError", exc_message: ["bad", 1], exc_module: "builtins" };
      await typescriptStores("FAILURE", stored, { traceback: "Traceback: bad" });
      expect(await raised()).toMatchObject({ type: "ValueError", module: "builtins", args: ["'bad'", "1"] });
      expect(await asked("r.traceback")).toBe("Traceback: bad");
      for (const type of ["OutOfStock", "Outer.Inner"]) {
        await typescriptStores("FAILURE", { exc_type: type, exc_message: ["apple", 3], exc_module: "tasks" });
        const own = { type: type.split(".").at(-1), module: "tasks", args: ["'apple'", "3"] };
        expect(await raised()).toMatchObject(own);
      }
    });

    it("either side sees that the other retries", async () => {
      await pythonStores(`ValueError("not yet"), "RETRY", traceback="tb"`);
      expect(await app.asyncResult(id).state()).toBe("RETRY");
      expect(await app.asyncResult(id).info()).toMatchObject({ type: "ValueError", args: ["not yet"] });
      await typescriptStores("RETRY", { exc_type: "KeyError", exc_message: ["k"], exc_module: "builtins" });
      expect(await asked("[r.state, repr(r.info)]")).toEqual(["RETRY", "KeyError('k')"]);
      await typescriptStores("RETRY", null);
      expect(await asked("[r.state, r.info]")).toEqual(["RETRY", null]);
    });

    it("either side sees that the other revoked a task", async () => {
      id = randomUUID();
      await client.run(`app.backend.mark_as_revoked(${JSON.stringify(id)}, "revoked")`);
      await expect(app.asyncResult(id).get(within)).rejects.toBeInstanceOf(TaskRevokedError);
      const stored = { exc_type: "TaskRevokedError", exc_message: ["revoked"], exc_module: "celery.exceptions" };
      await typescriptStores("REVOKED", stored);
      expect(await raised()).toMatchObject({ type: "TaskRevokedError", args: ["'revoked'"] });
    });

    it("either side sees the states on the way, of the application's own too", async () => {
      await pythonStores(`{"pid": 1, "hostname": "me"}, "STARTED"`);
      expect(await app.asyncResult(id).state()).toBe("STARTED");
      await client.run(`app.backend.store_result(${JSON.stringify(id)}, {"done": 3}, "PROGRESS")`);
      const result = app.asyncResult(id);
      expect([await result.state(), await result.info()]).toEqual(["PROGRESS", { done: 3 }]);
      await typescriptStores("STARTED", { pid: 1, hostname: "me" });
      expect(await asked("[r.state, r.info]")).toEqual(["STARTED", { pid: 1, hostname: "me" }]);
      await typescriptStores("PROGRESS", { done: 3 });
      expect(await asked("[r.state, r.info]")).toEqual(["PROGRESS", { done: 3 }]);
    });

    it("either side reads the other's extended results", async () => {
      await pythonStores(`3, "SUCCESS", request=request`);
      const extended = {
        name: "tasks.add",
        args: [1, "ü"],
        kwargs: { k: [1.5] },
        worker: "w@h",
        retries: 2,
        queue: "q",
      };
      expect(await (await app.backend()).getTaskMeta(id)).toMatchObject({
        result: 3,
        ...extended,
        children: [[["child", null], null]],
        stamped_headers: ["s"],
        s: ["x"],
      });
      const children = [[["child", null], null]] as never;
      const more = { hostname: "w@h", routingKey: "q", children, stampedHeaders: ["a"], stamps: { a: [1] } };
      await typescriptStores("SUCCESS", 3, { request: { ...extended, ...more }, extended: true });
      const code = "[r.name, list(r.args), r.kwargs, r.worker, r.retries, r.queue, r._get_task_meta()['a']]";
      expect(await asked(code)).toEqual(["tasks.add", [1, "ü"], { k: [1.5] }, "w@h", 2, "q", [1]]);
      expect(await asked("[child.id for child in r.children]")).toEqual(["child"]);
    });

    it("either side finds and drops the other's saved groups", async () => {
      id = randomUUID();
      const members = `[AsyncResult("m1"), GroupResult("g2", [AsyncResult("m2")])]`;
      await client.run(`GroupResult(${JSON.stringify(id)}, ${members}).save()`);
      const backend = await app.backend();
      const member = (name: string) => ({ id: name, parent: null, results: null });
      const results = [member("m1"), { id: "g2", parent: null, results: [member("m2")] }];
      const group = { id, parent: null, results };
      expect(await backend.restoreGroup(id)).toEqual(group);
      await backend.deleteGroup(id);
      const restored = `repr((lambda g: g and g.as_tuple())(app.backend.restore_group(group_id, cache=False)))`;
      await client.run(`group_id = ${JSON.stringify(id)}`);
      expect(await client.run(restored)).toBe("None");
      await backend.saveGroup({ ...group, parent: member("p") });
      expect(await client.run(restored)).toBe(
        `(('${id}', (('p', None), None)), [(('m1', None), None), (('g2', None), [(('m2', None), None)])])`,
      );
      await client.run("app.backend.delete_group(group_id)");
      expect(await backend.restoreGroup(id)).toBeNull();
    });

    it("either side forgets what the other stored", async () => {
      await pythonStores(`1, "SUCCESS"`);
      await app.asyncResult(id).forget();
      expect(await asked("r.state")).toBe("PENDING");
      await typescriptStores("SUCCESS", 1);
      await asked("r.forget()");
      expect(await app.asyncResult(id).state()).toBe("PENDING");
    });

    it("neither side changes the other's SUCCESS", async () => {
      await pythonStores(`1, "SUCCESS"`);
      await storeIn(app, id, "FAILURE", null);
      expect(await asked("[r.state, r.result]")).toEqual(["SUCCESS", 1]);
      await typescriptStores("SUCCESS", 2);
      await client.run(`app.backend.store_result(${JSON.stringify(id)}, None, "FAILURE")`);
      expect(await app.asyncResult(id).get(within)).toBe(2);
    });

    it("either side hears of what the other stores while it waits", async () => {
      id = randomUUID();
      const waiting = app.asyncResult(id).get(within);
      await client.run(`app.backend.store_result(${JSON.stringify(id)}, "from Python", "SUCCESS")`);
      expect(await waiting).toBe("from Python");
      id = randomUUID();
      const asking = asked("r.get(timeout=20)");
      await storeIn(app, id, "SUCCESS", "from TypeScript");
      expect(await asking).toBe("from TypeScript");
    });

    it.each(["a", "a.b:"])("either side finds the other's results behind the prefix %j", async (prefix) => {
      const settings = { result_backend_transport_options: { global_keyprefix: prefix } };
      const own = sides(store, settings);
      const [ours, theirs] = [randomUUID(), randomUUID()];
      await own.client.run(`app.backend.store_result(${JSON.stringify(theirs)}, 1, "SUCCESS")`);
      expect(await own.app.asyncResult(theirs).get(within)).toBe(1);
      await storeIn(own.app, ours, "SUCCESS", 2);
      expect(await own.client.run(`AsyncResult(${JSON.stringify(ours)}).get(timeout=20)`)).toBe(2);
      expect(await store.raw(ours, prefix === "a" ? "a_" : prefix)).toBeDefined();
      expect(await app.asyncResult(ours).state()).toBe("PENDING");
      await Promise.all([own.app.close(), own.client[Symbol.asyncDispose]()]);
    });

    it.each(["msgpack", "yaml", "pickle"])("either side reads what the other writes by %s", async (serializer) => {
      const own = sides(store, { result_serializer: serializer, accept_content: [serializer] });
      const [ours, theirs] = [randomUUID(), randomUUID()];
      const value = { a: [1, 2.5, null, "grüße"], b: {} };
      await own.client.run(
        `app.backend.store_result(${JSON.stringify(theirs)}, {"a": [1, 2.5, None, "grüße"], "b": {}}, "SUCCESS")`,
      );
      expect(await own.app.asyncResult(theirs).get(within)).toEqual(value);
      await storeIn(own.app, ours, "SUCCESS", value);
      expect(await own.client.run(`AsyncResult(${JSON.stringify(ours)}).get(timeout=20)`)).toEqual(value);
      await Promise.all([own.app.close(), own.client[Symbol.asyncDispose]()]);
    });

    itUnless(kind.compression ? undefined : "Celery compresses nothing there")(
      "either side reads what the other compressed",
      async () => {
        const own = sides(store, { result_compression: "zlib" });
        const [ours, theirs] = [randomUUID(), randomUUID()];
        await own.client.run(`app.backend.store_result(${JSON.stringify(theirs)}, "x" * 9000, "SUCCESS")`);
        expect(await own.app.asyncResult(theirs).get(within)).toBe("x".repeat(9000));
        await storeIn(own.app, ours, "SUCCESS", "y".repeat(9000));
        expect(await own.client.run(`AsyncResult(${JSON.stringify(ours)}).get(timeout=20) == "y" * 9000`)).toBe(true);
        for (const one of [ours, theirs]) expect((await store.raw(one))?.length).toBeLessThan(500);
        await Promise.all([own.app.close(), own.client[Symbol.asyncDispose]()]);
      },
    );

    it("carries results between workers of both languages", async () => {
      const queues = { python: `python-${randomUUID()}`, typescript: `typescript-${randomUUID()}` };
      const side = { ...pythonSide(store, {}), broker: inject("redisUrl"), queue: queues.python };
      const test = testApp({ ...ownSettings(store, {}), taskDefaultQueue: queues.typescript });
      const worker = new PythonClient(side);
      test.app.task("typescript.add", (x: number, y: number) => x + y);
      test.app.task("typescript.fail", (message: string) => {
        throw new RangeError(message);
      });
      const [started] = await Promise.all([PythonWorker.start(side), test.start()]);
      const send = (name: string, args: unknown[]) => test.app.sendTask(name, args, { queue: queues.python });
      expect(await (await send("tasks.add", [2, 3])).get(within)).toBe(5);
      const failed = await caught((await send("tasks.out_of_stock", ["apple", 3])).get(within));
      expect(failed).toMatchObject({ type: "OutOfStock", module: "tasks", args: ["apple", 3] });
      const sent = (call: string) => worker.run(`app.send_task(${call}, queue="${queues.typescript}").get(timeout=20)`);
      expect(await sent(`"typescript.add", (2, 3)`)).toBe(5);
      await expect(sent(`"typescript.fail", ("no such thing",)`)).rejects.toMatchObject({ type: "ValueError" });
      await Promise.all([test.app.close(), worker[Symbol.asyncDispose](), started[Symbol.asyncDispose]()]);
    });
  });
}

/** When a task ended, as its record says it. */
const DATE = /\d{4}-\d\d-\d\dT[\d:.]+(?:\+00:00|Z)?/;

function pythonSide(store: ResultStore, settings: Record<string, unknown>) {
  const backend = store.pythonBackend ?? store.backend;
  return { python, broker: "memory://", backend, queue: "unused", settings: { ...store.settings, ...settings } };
}

function ownSettings(store: ResultStore, settings: Record<string, unknown>): GivenSettings {
  return { backend: store.backend, ...store.settings, ...settings, ...store.own };
}

function sides(store: ResultStore, settings: Record<string, unknown>) {
  const { app } = testApp(ownSettings(store, settings));
  return { app, client: new PythonClient(pythonSide(store, settings)) };
}

async function storeIn(app: Celery, id: string, state: string, result: unknown, more: Partial<MetaInput> = {}) {
  const meta = taskMeta({ taskId: id, state, result, now: new Date().toISOString(), ...more });
  await (await app.backend()).storeResult(meta, { replyTo: null, correlationId: id });
}

async function caught(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: unknown) => error);
}

/** Names for Python: a request as a worker has it, and an error in a class. */
const SETUP = `
from celery.result import GroupResult
from types import SimpleNamespace
import tasks
class Outer:
    class Inner(Exception):
        pass
for cls in Outer, Outer.Inner:
    cls.__module__ = "tasks"
tasks.Outer = Outer
request = SimpleNamespace(task="tasks.add", args=(1, "ü"), kwargs={"k": [1.5]}, hostname="w@h", retries=2, id="r",
    delivery_info={"routing_key": "q"}, group=None, parent_id=None, children=[AsyncResult("child")],
    stamps={"s": ["x"]}, stamped_headers=["s"])
`;
