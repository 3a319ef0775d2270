import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import type { Celery, Worker, WorkerOptions } from "../../../src/index.ts";
import { RevokedTasks, revokedLimits } from "../../../src/worker/revoked.ts";
import { type TestApp, testApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

let test: TestApp;
let app: Celery;
let folder: string;
let others: TestApp[];

beforeEach(() => {
  test = testApp();
  app = test.app;
  others = [];
  folder = mkdtempSync(join(tmpdir(), "celeriac-state-"));
});

afterEach(async () => {
  await Promise.all([test, ...others].map((one) => one.app.close()));
  rmSync(folder, { recursive: true });
});

/** A worker of an application of its own, as if it were another process of the same fleet. */
async function neighbour(options: WorkerOptions = {}): Promise<Worker> {
  const { taskDefaultQueue, controlExchange, eventExchange, brokerUrl: broker } = app.settings;
  const other = testApp({ broker, taskDefaultQueue, controlExchange, eventExchange });
  others.push(other);
  return other.start(options);
}

describe("a state db", () => {
  const options = (): WorkerOptions => ({ hostname: "one@here", stateDb: join(folder, "%n.db") });
  const path = (): string => join(folder, "one.db");

  it("keeps revoked tasks, revoked stamps and the clock from one run to the next", async () => {
    const first = await test.start(options());
    await app.control.revoke(["a", "b"], { reply: true });
    await app.control.revokeByStampedHeaders({ customer: ["c"] }, { reply: true });
    await first.stop();
    const { clock } = app;
    const second = await neighbour(options());
    expect(second.state.revoked.ids()).toEqual(["a", "b"]);
    expect(second.state.revokedStamps.get("customer")).toEqual(new Set(["c"]));
    expect(others[0]?.app.clock.value).toBeGreaterThanOrEqual(clock.value);
  });

  it("is written without waiting for the end, which may not come", async () => {
    await test.start(options());
    await app.control.revoke("a", { reply: true });
    await eventually(() => existsSync(path()) && readFileSync(path(), "utf8").includes('"revoked":["a"]'));
  });

  it("that is something else is left alone, and the worker does not start", async () => {
    writeFileSync(path(), "a shelve of Python's");
    await expect(test.start(options())).rejects.toThrow(`state db ${path()} is not one of celeriac's`);
    expect(readFileSync(path(), "utf8")).toBe("a shelve of Python's");
  });
});

describe.each([["Redis", "redisUrl"] as const, ["RabbitMQ", "amqpUrl"] as const])("mingle over %s", (_, url) => {
  beforeEach(async () => {
    await app.close();
    test = testApp({ broker: inject(url) });
    app = test.app;
  });

  it("tells a worker that starts what the others know, and them what it knows", async () => {
    const first = await test.start();
    await app.control.revoke("a", { reply: true, limit: 1 });
    writeFileSync(join(folder, "state.db"), '{"celeriac":1,"clock":500,"revoked":["b"],"stamps":{}}');
    const second = await neighbour({ stateDb: join(folder, "state.db") });
    expect(second.state.revoked.ids().sort()).toEqual(["a", "b"]);
    expect(first.state.revoked.ids().sort()).toEqual(["a", "b"]);
    expect(others[0]?.lines.map(({ text }) => text)).toContain("mingle: sync with 1 nodes");
  });

  it("does not keep a worker waiting that is all alone", async () => {
    await app.broker().then((broker) => broker.connect());
    const before = performance.now();
    await test.start();
    expect(performance.now() - before).toBeLessThan(900);
    expect(test.logged("mingle: all alone")).toHaveLength(1);
  });

  it("is left out where it is not wanted", async () => {
    await test.start();
    await app.control.revoke("a", { reply: true, limit: 1 });
    expect((await neighbour({ withoutMingle: true })).state.revoked.ids()).toEqual([]);
  });
});

describe("revoke_by_stamped_headers", () => {
  it("keeps every task with the stamp from running, and no other", async () => {
    const ran: string[] = [];
    app.task("tasks.note", (text: string) => void ran.push(text));
    await test.start();
    await app.control.revokeByStampedHeaders({ customer: ["a", "b"] }, { reply: true, limit: 1 });
    const send = (customer: string): ReturnType<Celery["sendTask"]> =>
      app.signature("tasks.note", [customer]).stamp({ customer }).applyAsync();
    const [a, b, c] = await Promise.all([send("a"), send("b"), send("c")]);
    await c.get({ timeout: 5 });
    await expect(a.get({ timeout: 5 })).rejects.toMatchObject({ type: "TaskRevokedError" });
    await expect(b.get({ timeout: 5 })).rejects.toMatchObject({ type: "TaskRevokedError" });
    expect(ran).toEqual(["c"]);
  });

  it("with terminate ends those that run", async () => {
    app.task("tasks.wait", () => new Promise(() => {}));
    const worker = await test.start();
    const result = await app.signature("tasks.wait").stamp({ customer: "a" }).applyAsync();
    await eventually(() => worker.state.active.size === 1);
    const [reply] = await app.control.revokeByStampedHeaders(
      { customer: "a" },
      { terminate: true, reply: true, limit: 1 },
    );
    expect(reply?.[worker.hostname]).toEqual({ ok: "headers {'customer': {'a'}} revoked" });
    await expect(result.get({ timeout: 5 })).rejects.toMatchObject({ type: "TaskRevokedError", message: "terminated" });
  });
});

describe("the set of revoked tasks", () => {
  it("forgets the oldest when there are too many, and those that are too old", () => {
    const revoked = new RevokedTasks(
      revokedLimits({ CELERY_WORKER_REVOKES_MAX: "2", CELERY_WORKER_REVOKE_EXPIRES: "10" }),
    );
    for (const [at, id] of ["a", "b", "c"].entries()) revoked.add(id, at * 1000);
    expect(revoked.ids()).toEqual(["b", "c"]);
    revoked.purge(11_500);
    expect(revoked.ids()).toEqual(["c"]);
  });

  it("refuses a limit that is no number", () => {
    expect(() => revokedLimits({ CELERY_WORKER_REVOKES_MAX: "many" })).toThrow(
      "Invalid value for CELERY_WORKER_REVOKES_MAX: expected a number, got 'many'",
    );
  });
});
