import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, describe, expect, inject, it } from "vitest";
import { Celery, ImproperlyConfigured, OperationalError } from "../../../src/index.ts";
import { backendOptions, exerciseBackend, record } from "../../exercise/backend.ts";
import { freePort } from "../../servers/free-port.ts";
import { testApp } from "../../support/app.ts";
import { HashBackend } from "../../support/hash-backend.ts";

const name = `celeriac-hash-${randomUUID()}`;
const url = (): string => `hash://${new URL(inject("redisUrl")).host}/${name}`;

exerciseBackend({ name: "A backend of one's own", make: (options) => new HashBackend(options), url });

describe("a backend of one's own", () => {
  const redis = new Redis(inject("redisUrl"), { lazyConnect: true });

  afterAll(async () => {
    await redis.del(name);
    redis.disconnect();
  });

  it("is found by the scheme of its URL, and stores the results of a worker", async () => {
    const { app, start } = testApp({
      backend: url(),
      overrideBackends: { hash: (options) => new HashBackend(options) },
    });
    const add = app.task("tasks.add", (x: number, y: number) => x + y);
    await start();
    const result = await add.delay(2, 3);
    expect(await result.get({ timeout: 20 })).toBe(5);
    const stored = await redis.hget(name, `celery-task-meta-${result.id}`);
    expect(JSON.parse(stored ?? "{}")).toMatchObject({ status: "SUCCESS", result: 5, task_id: result.id });
    await app.close();
  });

  it("comes before one that is built in, and need not be made at once", async () => {
    const app = new Celery("shop", {
      backend: "redis://nowhere/0",
      overrideBackends: { REDIS: async () => new HashBackend(backendOptions({ url })) },
    });
    expect((await app.backend()).url).toBe(url());
    await app.close();
  });

  it("has to be a function", () => {
    expect(() => new Celery("shop", { override_backends: { hash: "my.module:HashBackend" } })).toThrow(
      /overrideBackends.hash cannot be .*has to be a function that makes the backend/,
    );
  });

  it("is named where a scheme is not known", async () => {
    const app = new Celery("shop", {
      backend: "s4://bucket",
      overrideBackends: { hash: (options) => new HashBackend(options) },
    });
    await expect(app.backend()).rejects.toThrow(ImproperlyConfigured);
    await expect(app.backend()).rejects.toThrow(/"s4:\/\/bucket": it starts with one of .*redis:\/\/.*hash:\/\//);
    await app.close();
  });

  it("is asked for all that wait at once", async () => {
    const backend = new HashBackend(backendOptions({ url }));
    const ids = Array.from({ length: 200 }, () => randomUUID());
    const waiting = ids.map((id) => backend.wait(id, AbortSignal.timeout(20_000)));
    for (const [number, id] of ids.entries()) await backend.storeResult(record(id, "SUCCESS", number));
    expect((await Promise.all(waiting)).map(({ result }) => result)).toEqual(ids.map((_, number) => number));
    expect(Math.max(...backend.asked)).toBeGreaterThan(100);
    await backend.close();
  });

  it("keeps its keys apart by global_keyprefix", async () => {
    const id = randomUUID();
    const own = (prefix: string) => ({ ...backendOptions({ url }), transportOptions: { global_keyprefix: prefix } });
    const [one, other] = [new HashBackend(own("one")), new HashBackend(own("other:"))];
    await one.storeResult(record(id, "SUCCESS", 1));
    await other.saveGroup({ id, parent: null, results: [] });
    expect((await other.getTaskMeta(id)).status).toBe("PENDING");
    expect(await one.restoreGroup(id)).toBeNull();
    expect(await redis.hexists(name, `one_celery-task-meta-${id}`)).toBe(1);
    expect(await redis.hexists(name, `other:celery-taskset-meta-${id}`)).toBe(1);
    await Promise.all([one.close(), other.close()]);
  });

  it("has its errors told as an OperationalError that names it", async () => {
    const port = await freePort();
    const away = `hash://user:secret@127.0.0.1:${port}/${name}`;
    const backend = new HashBackend(backendOptions({ url: () => away }));
    for (const call of [
      () => backend.getTaskMeta("id"),
      () => backend.wait("id", AbortSignal.timeout(20_000)),
      () => backend.storeResult(record("id", "SUCCESS", 1)),
      () => backend.forget("id"),
      () => backend.saveGroup({ id: "id", parent: null, results: [] }),
      () => backend.restoreGroup("id"),
    ]) {
      const error = await call().catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(OperationalError);
      expect((error as Error).message).toMatch(`hash://user:**@127.0.0.1:${port}/${name}: `);
      expect((error as Error).cause).toBeInstanceOf(Error);
    }
    await backend.close();
  });

  it("tells who waits of a record that cannot be read", async () => {
    const backend = new HashBackend(backendOptions({ url }));
    const id = randomUUID();
    await redis.hset(name, `celery-task-meta-${id}`, "{");
    await expect(backend.wait(id, AbortSignal.timeout(20_000))).rejects.toMatchObject({ name: "DecodeError" });
    // It is no SUCCESS that has to stay.
    await backend.storeResult(record(id, "SUCCESS", "mended"));
    expect((await backend.getTaskMeta(id)).result).toBe("mended");
    await backend.close();
  });
});
