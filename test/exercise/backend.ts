import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type MetaInput, type TaskMeta, taskMeta } from "../../protocol/result/meta.ts";
import { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import { resultCodec } from "../../src/app/result-codec.ts";
import { resolveSettings } from "../../src/app/settings.ts";
import type { BackendOptions, ResultBackend, ResultCodec } from "../../src/backends/backend.ts";
import type { Broker } from "../../src/brokers/broker.ts";
import { SILENT } from "../../src/logger.ts";
import { itUnless } from "../support/it-unless.ts";

/** What a result backend under exercise is made from. */
export interface BackendUnderTest {
  name: string;
  /** Another connection to the same place with each call. */
  make(options: BackendOptions): ResultBackend | Promise<ResultBackend>;
  url(): string;
  transportOptions?(): Record<string, unknown>;
  /** What this backend cannot do, each with the reason. */
  lacks?: {
    /** Results are read only by the one who waits for them. */
    readers?: string;
    groups?: string;
    finality?: string;
  };
  /** The broker of a backend that sends its results. */
  broker?(): Promise<Broker>;
  /** Where a result is to be sent, on backends that send them. */
  replyTo?(backend: ResultBackend): string | null;
}

/** What every result backend must do, whatever it is made of. */
export function exerciseBackend(subject: BackendUnderTest): void {
  describe(`${subject.name} as a result backend`, () => {
    let backends: ResultBackend[];
    let backend: ResultBackend;
    let id: string;

    async function open(): Promise<ResultBackend> {
      const made = await subject.make(backendOptions(subject));
      backends.push(made);
      return made;
    }

    function store(state: string, result: unknown, more: Partial<MetaInput> = {}): Promise<void> {
      const reply = { replyTo: subject.replyTo?.(backend) ?? null, correlationId: id };
      return backend.storeResult(record(id, state, result, more), reply);
    }

    beforeEach(async () => {
      backends = [];
      backend = await open();
      await backend.prepare?.();
      id = randomUUID();
    });

    afterEach(async () => {
      await Promise.all(backends.map((made) => made.close()));
    });

    it("says PENDING of a task that nobody knows", async () => {
      expect(await backend.getTaskMeta(id)).toMatchObject({ status: "PENDING", result: null, task_id: id });
    });

    it("gives back what was stored", async () => {
      const result = { text: "grüße", list: [1, 2.5, null, true], nested: { a: {} } };
      await store("SUCCESS", result);
      const meta = await backend.wait(id, timeout());
      expect(meta).toMatchObject({ status: "SUCCESS", result, traceback: null, children: [], task_id: id });
      expect(meta.date_done).toMatch(/^\d{4}-\d\d-\d\dT/);
    });

    it("gives back a failure with its traceback", async () => {
      const exception = { exc_type: "ValueError", exc_message: ["bad", 1], exc_module: "builtins" };
      await store("FAILURE", exception, { traceback: "Traceback: bad" });
      expect(await backend.wait(id, timeout())).toMatchObject({
        status: "FAILURE",
        result: exception,
        traceback: "Traceback: bad",
      });
    });

    it("waits for a result that comes later, and tells of the states on the way", async () => {
      const states: string[] = [];
      const waiting = backend.wait(id, timeout(), (meta) => states.push(meta.status));
      await pause(100);
      await store("STARTED", { pid: 1, hostname: "me" });
      await pause(100);
      await store("PROGRESS", { done: 3 });
      await pause(100);
      await store("SUCCESS", 42);
      expect(await waiting).toMatchObject({ status: "SUCCESS", result: 42 });
      expect(states).toEqual(["STARTED", "PROGRESS"]);
    });

    it("resolves at once for a result that is there already", async () => {
      await store("SUCCESS", 1);
      await backend.wait(id, timeout());
      expect(await backend.wait(id, timeout())).toMatchObject({ result: 1 });
    });

    it("lets many wait for one result, and one for many", async () => {
      const same = Array.from({ length: 20 }, () => backend.wait(id, timeout()));
      const ids = Array.from({ length: 50 }, () => randomUUID());
      const different = ids.map((other) => backend.wait(other, timeout()));
      await pause(50);
      await store("SUCCESS", "same");
      const replyTo = subject.replyTo?.(backend) ?? null;
      await Promise.all(
        ids.map((other, number) =>
          backend.storeResult(record(other, "SUCCESS", number), { replyTo, correlationId: other }),
        ),
      );
      expect((await Promise.all(same)).map((meta) => meta.result)).toEqual(Array(20).fill("same"));
      expect((await Promise.all(different)).map((meta) => meta.result)).toEqual(ids.map((_, number) => number));
    });

    it("ends a wait with the reason of its signal", async () => {
      const controller = new AbortController();
      const waiting = backend.wait(id, controller.signal);
      await pause(20);
      controller.abort(new RangeError("enough"));
      await expect(waiting).rejects.toThrow("enough");
      await expect(backend.wait(id, AbortSignal.abort(new RangeError("before")))).rejects.toThrow("before");
    });

    it("rejects those who still wait when it closes", async () => {
      const rejected = expect(backend.wait(id, timeout())).rejects.toThrow(/closed/);
      await pause(20);
      await backend.close();
      await rejected;
    });

    itUnless(subject.lacks?.readers)("shows a result to any reader", async () => {
      await store("SUCCESS", [1]);
      expect(await (await open()).getTaskMeta(id)).toMatchObject({ status: "SUCCESS", result: [1] });
    });

    itUnless(subject.lacks?.readers)("tells a waiting reader elsewhere", async () => {
      const waiting = (await open()).wait(id, timeout());
      await pause(100);
      await store("SUCCESS", "elsewhere");
      expect(await waiting).toMatchObject({ result: "elsewhere" });
    });

    itUnless(subject.lacks?.finality)("never changes a SUCCESS again", async () => {
      await store("SUCCESS", "first");
      await store("FAILURE", { exc_type: "ValueError", exc_message: [], exc_module: "builtins" });
      await store("SUCCESS", "second");
      expect(await backend.getTaskMeta(id)).toMatchObject({ status: "SUCCESS", result: "first" });
    });

    itUnless(subject.lacks?.finality)("lets a later state follow any other", async () => {
      await store("STARTED", {});
      await store("RETRY", null);
      await store("FAILURE", { exc_type: "ValueError", exc_message: [], exc_module: "builtins" });
      await store("SUCCESS", "in the end");
      expect(await backend.getTaskMeta(id)).toMatchObject({ status: "SUCCESS", result: "in the end" });
    });

    itUnless(subject.lacks?.readers)("forgets a result", async () => {
      await store("SUCCESS", 1);
      await backend.forget(id);
      expect(await backend.getTaskMeta(id)).toMatchObject({ status: "PENDING" });
      await backend.forget(id);
    });

    it("stores nothing of a result that its serializer cannot write", async () => {
      await expect(store("SUCCESS", new (class Coffee {})())).rejects.toThrow(/Coffee/);
      expect(await backend.getTaskMeta(id)).toMatchObject({ status: "PENDING" });
    });

    itUnless(subject.lacks?.groups)("keeps the members of a group", async () => {
      const member = (memberId: string) => ({ id: memberId, parent: null, results: null });
      const group = {
        id,
        parent: member("parent"),
        results: [member("a"), { ...member("b"), results: [member("c")] }],
      };
      await backend.saveGroup(group);
      expect(await (await open()).restoreGroup(id)).toEqual(group);
      await backend.deleteGroup(id);
      expect(await backend.restoreGroup(id)).toBeNull();
    });

    it("drops what has expired, where nothing else does, and nothing that never expires", async ({ skip }) => {
      skip(!backend.cleanup, "what it keeps expires by itself");
      await store("SUCCESS", 1);
      await backend.saveGroup({ id, parent: null, results: [] });
      const later = new Date(Date.now() + 62_000);
      await backend.cleanup?.(new Date());
      const forEver = await subject.make({ ...backendOptions(subject), expires: null });
      backends.push(forEver);
      await forEver.cleanup?.(later);
      expect(await backend.getTaskMeta(id)).toMatchObject({ result: 1 });
      expect(await backend.restoreGroup(id)).toMatchObject({ id });
      await backend.cleanup?.(later);
      expect(await backend.getTaskMeta(id)).toMatchObject({ status: "PENDING" });
      expect(await backend.restoreGroup(id)).toBeNull();
    });

    it("closes twice without complaint, and unused", async () => {
      const unused = await open();
      await unused.close();
      await unused.close();
    });
  });
}

/** Options for a backend under exercise. */
export function backendOptions(subject: Pick<BackendUnderTest, "url" | "transportOptions" | "broker">): BackendOptions {
  return {
    url: subject.url(),
    transportOptions: subject.transportOptions?.() ?? {},
    useSsl: false,
    expires: 60,
    failureExpires: null,
    chordExpires: null,
    connectionTimeout: 4,
    clientName: "celeriac:exercise",
    broker: subject.broker ?? (() => Promise.reject(new Error("this backend needs no broker"))),
    replyTo: randomUUID(),
    resultPersistent: null,
    replyQueueDurable: true,
    redis: {
      host: null,
      port: null,
      db: null,
      username: null,
      password: null,
      socketTimeout: 120,
      socketConnectTimeout: null,
      healthCheckInterval: null,
      clientName: null,
    },
    alwaysRetry: null,
    cacheOptions: {},
    mongodb: {},
    database: {
      tableNames: {},
      tableSchemas: {},
      createTablesAtSetup: true,
      engineOptions: {},
      shortLivedSessions: false,
      pickled: false,
    },
    codec: jsonCodec(),
    log: SILENT,
  };
}

/** Results as JSON. */
export function jsonCodec(): ResultCodec {
  return resultCodec(new SerializerRegistry(), resolveSettings({}).settings);
}

/** A record as a worker would store it. */
export function record(taskId: string, state: string, result: unknown, more: Partial<MetaInput> = {}): TaskMeta {
  return taskMeta({ taskId, state, result, now: new Date().toISOString(), ...more });
}

function timeout(): AbortSignal {
  return AbortSignal.timeout(10_000);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
