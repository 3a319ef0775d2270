import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { PlainDate } from "../../protocol/python/datetime.ts";
import { Decimal } from "../../protocol/python/decimal.ts";
import { UUID } from "../../protocol/python/uuid.ts";
import { DateTime, type GivenSettings, pickleSerializer, TaskError, TaskRevokedError } from "../../src/index.ts";
import { type TestApp, testApp } from "../../test/support/app.ts";
import { itUnless } from "../../test/support/it-unless.ts";
import { PythonClient, type PythonSide, PythonWorker } from "../python.ts";
import { caught, ResultSides } from "../result-sides.ts";
import type { ResultStore, ResultStoreKind } from "../result-stores.ts";

const within = { timeout: 20 };

/** What `VALUES` of `python/results.py` is here. */
export const VALUES = {
  when: new DateTime("2031-05-06T07:08:09.123456+00:00"),
  day: new PlainDate("2031-05-06"),
  cost: new Decimal("1.10"),
  key: new UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
  raw: new Uint8Array([0, 255]),
};

/** What `extended()` of `python/results.py` is here, but for its children and stamps. */
export const EXTENDED = {
  name: "tasks.add",
  args: [1, "ü"],
  kwargs: { k: [1.5] },
  worker: "w@h",
  retries: 2,
  queue: "q",
};

/** When a task ended, as its record says it. */
const DATE = /\d{4}-\d\d-\d\dT[\d:.]+(?:\+00:00|Z)?/;

/**
 * Results of one kind of place, written by Python and read by TypeScript, and the other way round.
 * @param given the place, once tests run
 */
export function exerciseResults(kind: ResultStoreKind, given: () => ResultStore): void {
  const { unable = {} } = kind;
  const queues = { python: `python-${randomUUID()}`, typescript: `typescript-${randomUUID()}` };
  let store: ResultStore;
  let side: PythonSide;
  let test: TestApp;
  let sides: ResultSides;
  let errors: string;
  let others = 0;

  beforeAll(async () => {
    store = given();
    errors = store.errors ?? "tasks";
    side = pythonSide(store, queues.python);
    test = testApp(ownSettings(store, { taskDefaultQueue: queues.typescript, resultExtended: true }));
    sides = new ResultSides(test.app, new PythonClient(side));
    await sides.client.run(`${store.setup ?? ""}
import importlib
from results import *
errors = importlib.import_module("${errors}")
OutOfStock, Outer = errors.OutOfStock, own_errors(errors)`);
  });

  afterAll(() => Promise.all([test?.app.close(), sides?.client[Symbol.asyncDispose]()]));

  /** Runs a test with two more applications, whose settings are these. */
  async function withSettings(settings: Record<string, unknown>, run: (own: ResultSides) => Promise<void>) {
    const { app } = testApp(ownSettings(store, settings));
    const name = `other_${others++}`;
    await sides.client.run(
      `${name} = app_with(**__import__("json").loads(${JSON.stringify(JSON.stringify(settings))}))`,
    );
    try {
      await run(new ResultSides(app, sides.client, name));
    } finally {
      await app.close();
    }
  }

  it("TypeScript reads what Python returned", async () => {
    await sides.fromPython(`{"a": [1, 2.5, None, True, "grüße", 2**70, -1, 70000], "b": {}}, "SUCCESS"`);
    expect(await sides.get()).toEqual({ a: [1, 2.5, null, true, "grüße", 2n ** 70n, -1, 70000], b: {} });
    await sides.fromPython(`None, "SUCCESS"`);
    expect(await sides.get()).toBeNull();
  });

  it("Python reads what TypeScript returned", async () => {
    await sides.fromTypescript("SUCCESS", { a: [1, 2.5, null, true, "grüße", 2n ** 70n, -1, 70000], b: {} });
    expect(await sides.asked("repr(r.get(timeout=20))")).toBe(
      "{'a': [1, 2.5, None, True, 'grüße', 1180591620717411303424, -1, 70000], 'b': {}}",
    );
    await sides.fromTypescript("SUCCESS", null);
    expect(await sides.asked("[r.state, r.get(timeout=20)]")).toEqual(["SUCCESS", null]);
  });

  it("either side reads values of the other's that JSON does not have", async () => {
    await sides.fromPython(`VALUES, "SUCCESS"`);
    expect(await sides.get()).toEqual(VALUES);
    await sides.fromTypescript("SUCCESS", VALUES);
    expect(await sides.asked("r.get(timeout=20) == VALUES or repr(r.get())")).toBe(true);
  });

  itUnless(unable.bytes)("both write the same bytes", async () => {
    const raw = async (): Promise<string | undefined> =>
      (await store.raw?.(sides.id))?.toString().replaceAll(sides.id, "ID").replace(DATE, "DATE");
    await sides.fromPython(`{"text": "grüße", "n": 1.0}, "SUCCESS"`);
    const theirs = await raw();
    await sides.fromTypescript("SUCCESS", { text: "grüße", n: 1.5 }, { request: {}, extended: false });
    expect(theirs).toContain("DATE");
    expect((await raw())?.replace("1.5", "1.0")).toBe(theirs?.replace('"children": null', '"children": []'));
  });

  it("TypeScript raises what Python raised, with what is nested in it", async () => {
    // django-celery-results keeps no traceback without a request.
    await sides.fromPython(`ValueError("bad", 1), "FAILURE", traceback="Traceback: bad", request=Context()`);
    const error = await caught(sides.get());
    expect(error).toBeInstanceOf(TaskError);
    expect(error).toMatchObject({ type: "ValueError", module: "builtins", args: ["bad", 1] });
    expect(error).toMatchObject({ traceback: "Traceback: bad" });
    await sides.fromPython(`Outer.Inner("deep", ["list"]), "FAILURE"`);
    const inner = { type: "Outer.Inner", module: errors, args: ["deep", ["list"]] };
    expect(await caught(sides.get())).toMatchObject(inner);
    await sides.fromPython(`OutOfStock("apple", [3, {"in": None}]), "FAILURE"`);
    const own = { type: "OutOfStock", module: errors, args: ["apple", [3, { in: null }]] };
    expect(await caught(sides.get())).toMatchObject(own);
    // What its serializer cannot write, Celery stores as its repr.
    await sides.fromPython(`ValueError(KeyError("inner"), {1}), "FAILURE"`);
    expect(await caught(sides.get())).toMatchObject({ args: ["KeyError('inner')", "{1}"] });
  });

  it("Python raises what TypeScript raised, an error of the application's own by its class", async () => {
    const stored = { exc_type: "ValueError", exc_message: ["bad", 1], exc_module: "builtins" };
    await sides.fromTypescript("FAILURE", stored, { traceback: "Traceback: bad" });
    expect(await sides.raised()).toMatchObject({ type: "ValueError", module: "builtins", args: ["'bad'", "1"] });
    await sides.fromTypescript("FAILURE", stored, { traceback: "Traceback: bad" });
    expect(await sides.asked("r.get(timeout=20, propagate=False) and r.traceback")).toBe("Traceback: bad");
    for (const type of ["OutOfStock", "Outer.Inner"]) {
      await sides.fromTypescript("FAILURE", { exc_type: type, exc_message: ["apple", [3]], exc_module: errors });
      const own = { type: type.split(".").at(-1), module: errors, args: ["'apple'", "[3]"] };
      expect(await sides.raised()).toMatchObject(own);
    }
  });

  it("either side sees that the other retries", async () => {
    await sides.fromPython(`ValueError("not yet"), "RETRY", traceback="tb"`);
    expect(await sides.seen("RETRY")).toMatchObject({ type: "ValueError", args: ["not yet"] });
    await sides.fromTypescript("RETRY", { exc_type: "KeyError", exc_message: ["k"], exc_module: "builtins" });
    expect(await sides.asked("[r.state, repr(r.info)]")).toEqual(["RETRY", "KeyError('k')"]);
    await sides.fromTypescript("RETRY", null);
    expect(await sides.asked("[r.state, r.info]")).toEqual(["RETRY", null]);
  });

  it("either side sees that the other revoked a task", async () => {
    await sides.revokedByPython();
    expect(await caught(sides.get())).toBeInstanceOf(TaskRevokedError);
    const stored = { exc_type: "TaskRevokedError", exc_message: ["revoked"], exc_module: "celery.exceptions" };
    await sides.fromTypescript("REVOKED", stored);
    expect(await sides.raised()).toMatchObject({ type: "TaskRevokedError", args: ["'revoked'"] });
  });

  it("either side sees the states on the way, of the application's own too", async () => {
    await sides.fromPython(`{"pid": 1, "hostname": "me"}, "STARTED"`);
    expect(await sides.seen("STARTED")).toEqual({ pid: 1, hostname: "me" });
    await sides.againFromPython(`{"done": 3}, "PROGRESS"`);
    expect(await sides.seen("PROGRESS")).toEqual({ done: 3 });
    await sides.fromTypescript("STARTED", { pid: 1, hostname: "me" });
    expect(await sides.asked("[r.state, r.info]")).toEqual(["STARTED", { pid: 1, hostname: "me" }]);
    await sides.fromTypescript("PROGRESS", { done: 3 });
    expect(await sides.asked("[r.state, r.info]")).toEqual(["PROGRESS", { done: 3 }]);
  });

  itUnless(unable.extended)("either side reads the other's extended results", async () => {
    const children = [[["child", null], null]] as never;
    await withSettings({ result_extended: true }, async (own) => {
      await own.fromPython(`3, "SUCCESS", request=extended()`);
      await own.get();
      const meta = await (await own.app.backend()).getTaskMeta(own.id);
      expect(meta).toMatchObject({ result: 3, ...EXTENDED, children, stamped_headers: ["s"], s: ["x"] });
      const more = { hostname: "w@h", routingKey: "q", children, stampedHeaders: ["a"], stamps: { a: [1] } };
      await own.fromTypescript("SUCCESS", 3, { request: { ...EXTENDED, ...more }, extended: true });
      const code = "[r.name, list(r.args), r.kwargs, r.worker, r.retries, r.queue, [c.id for c in r.children]]";
      expect(await own.asked(code)).toEqual(["tasks.add", [1, "ü"], { k: [1.5] }, "w@h", 2, "q", ["child"]]);
      if (!unable.stamps) expect(await own.asked("r._get_task_meta()['a']")).toEqual([1]);
    });
  });

  itUnless(unable.groups)("either side finds and drops the other's saved groups", async () => {
    const id = randomUUID();
    const members = `[app.AsyncResult("m1"), app.GroupResult("g2", [app.AsyncResult("m2")])]`;
    await sides.client.run(`app.GroupResult("${id}", ${members}).save()`);
    const backend = await sides.app.backend();
    const member = (name: string) => ({ id: name, parent: null, results: null });
    const group = { id, parent: null, results: [member("m1"), { id: "g2", parent: null, results: [member("m2")] }] };
    expect(await backend.restoreGroup(id)).toEqual(group);
    await backend.deleteGroup(id);
    const restored = `repr(as_tuple(app.backend.restore_group("${id}", cache=False)))`;
    expect(await sides.client.run(restored)).toBe("None");
    await backend.saveGroup({ ...group, parent: member("p") });
    expect(await sides.client.run(restored)).toBe(
      `(('${id}', (('p', None), None)), [(('m1', None), None), (('g2', None), [(('m2', None), None)])])`,
    );
    await sides.client.run(`app.backend.delete_group("${id}")`);
    expect(await backend.restoreGroup(id)).toBeNull();
  });

  itUnless(unable.forget)("either side forgets what the other stored", async () => {
    await sides.fromPython(`1, "SUCCESS"`);
    await sides.app.asyncResult(sides.id).forget();
    expect(await sides.asked("r.state")).toBe("PENDING");
    await sides.fromTypescript("SUCCESS", 1);
    await sides.asked("r.forget()");
    expect(await sides.app.asyncResult(sides.id).state()).toBe("PENDING");
  });

  itUnless(unable.final)("neither side changes the other's SUCCESS", async () => {
    await sides.fromPython(`1, "SUCCESS"`);
    await sides.againFromTypescript("FAILURE", null);
    expect(await sides.asked("[r.state, r.result]")).toEqual(["SUCCESS", 1]);
    await sides.fromTypescript("SUCCESS", 2);
    await sides.againFromPython(`None, "FAILURE"`);
    expect(await sides.get()).toBe(2);
  });

  it("either side hears of what the other stores while it waits", async () => {
    sides.id = randomUUID();
    const waiting = sides.get();
    await sides.againFromPython(`"from Python", "SUCCESS"`);
    expect(await waiting).toBe("from Python");
    const address = await sides.address();
    sides.id = randomUUID();
    const asking = sides.asked("r.get(timeout=20)");
    await sides.againFromTypescript("SUCCESS", "from TypeScript", {}, address);
    expect(await asking).toBe("from TypeScript");
  });

  it("either side waits for several at once", async () => {
    const ids = Array.from({ length: 5 }, () => randomUUID());
    const waiting = Promise.all(ids.map((id) => sides.app.asyncResult(id).get(within)));
    for (const [n, id] of [...ids.entries()].reverse()) {
      sides.id = id;
      await sides.againFromPython(`${n}, "SUCCESS"`);
    }
    expect(await waiting).toEqual([0, 1, 2, 3, 4]);
    const address = await sides.address();
    const others = ids.map(() => randomUUID());
    const asking = sides.client.run(
      `ResultSet([app.AsyncResult(id) for id in ${JSON.stringify(others)}], app=app).get(timeout=20)`,
    );
    for (const [n, id] of [...others.entries()].reverse()) {
      sides.id = id;
      await sides.againFromTypescript("SUCCESS", n, {}, address);
    }
    expect(await asking).toEqual([0, 1, 2, 3, 4]);
  });

  for (const prefix of ["a", "a.b:"]) {
    itUnless(unable.prefix)(`either side finds the other's results behind the prefix "${prefix}"`, async () => {
      await withSettings({ result_backend_transport_options: { global_keyprefix: prefix } }, async (own) => {
        await own.fromPython(`1, "SUCCESS"`);
        expect(await own.get()).toBe(1);
        await own.fromTypescript("SUCCESS", 2);
        expect(await own.asked("r.get(timeout=20)")).toBe(2);
        expect(await store.raw?.(own.id, prefix === "a" ? "a_" : prefix)).toBeDefined();
        expect(await sides.app.asyncResult(own.id).state()).toBe("PENDING");
      });
    });
  }

  it.each(["msgpack", "yaml", "pickle"])("either side reads what the other writes by %s", async (serializer) => {
    const settings = { result_serializer: serializer, accept_content: ["json", serializer], result_extended: true };
    await withSettings(settings, async (own) => {
      own.app.register(pickleSerializer({ exceptions: [`${errors}.OutOfStock`] }));
      const value = { a: [1, 2.5, null, "grüße", new Uint8Array([0, 255])], b: {} };
      await own.fromPython(`{"a": [1, 2.5, None, "grüße", b"\\x00\\xff"], "b": {}}, "SUCCESS", request=extended()`);
      expect(await own.get()).toEqual(value);
      if (!unable.extended) {
        const { args, kwargs } = EXTENDED;
        expect(await (await own.app.backend()).getTaskMeta(own.id)).toMatchObject({ args, kwargs });
      }
      await own.fromPython(`OutOfStock("apple", 3), "FAILURE"`);
      expect(await caught(own.get())).toMatchObject({ type: "OutOfStock", module: errors, args: ["apple", 3] });
      await own.fromTypescript("SUCCESS", value);
      expect(await own.asked("repr(r.get(timeout=20))")).toBe(`{'a': [1, 2.5, None, 'grüße', b'\\x00\\xff'], 'b': {}}`);
      await own.fromTypescript("FAILURE", { exc_type: "OutOfStock", exc_message: ["apple", 3], exc_module: errors });
      expect(await own.raised()).toMatchObject({ type: "OutOfStock", module: errors, args: ["'apple'", "3"] });
    });
  });

  itUnless(unable.compression)("either side reads what the other compressed", async () => {
    await withSettings({ result_compression: "zlib" }, async (own) => {
      await own.fromPython(`"x" * 9000, "SUCCESS"`);
      expect(await own.get()).toBe("x".repeat(9000));
      expect((await store.raw?.(own.id))?.length).toBeLessThan(500);
      await own.fromTypescript("SUCCESS", "y".repeat(9000));
      expect(await own.asked(`r.get(timeout=20) == "y" * 9000`)).toBe(true);
      expect((await store.raw?.(own.id))?.length).toBeLessThan(500);
    });
  });

  it("carries results between workers of both languages", async () => {
    const { app } = test;
    const tasks = errors.split(".")[0];
    app.task("typescript.add", (x: number, y: number) => x + y);
    app.task("typescript.fail", (message: string) => {
      throw new RangeError(message);
    });
    const [worker] = await Promise.all([PythonWorker.start(side), test.start()]);
    const send = (name: string, args: unknown[]) => app.sendTask(`${tasks}.${name}`, args, { queue: queues.python });
    expect(await (await send("add", [2, 3])).get(within)).toBe(5);
    const failed = await caught((await send("out_of_stock", ["apple", 3])).get(within));
    expect(failed).toMatchObject({ type: "OutOfStock", module: errors, args: ["apple", 3] });
    await sides.address();
    const sent = (call: string) =>
      sides.client.run(`app.send_task(${call}, queue="${queues.typescript}").get(timeout=20)`);
    expect(await sent(`"typescript.add", (2, 3)`)).toBe(5);
    const raised = { type: "ValueError", args: ["'no such thing'"] };
    await expect(sent(`"typescript.fail", ("no such thing",)`)).rejects.toMatchObject(raised);
    await worker[Symbol.asyncDispose]();
  });
}

function pythonSide(store: ResultStore, queue: string): PythonSide {
  const backend = store.pythonBackend ?? store.backend;
  const broker = store.broker ?? inject("redisUrl");
  return { python: inject("python"), broker, backend, queue, settings: { ...store.settings }, ...store.side };
}

function ownSettings(store: ResultStore, settings: GivenSettings): GivenSettings {
  const broker = store.broker ?? inject("redisUrl");
  return { broker, backend: store.backend, ...store.settings, ...settings, ...store.own };
}
