import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CacheBackend } from "../../../src/backends/cache/cache-backend.ts";
import { Celery } from "../../../src/index.ts";
import { backendOptions, exerciseBackend, record } from "../../exercise/backend.ts";
import { freePort } from "../../servers/free-port.ts";
import { type MemcachedServer, memcachedProgram, startMemcached } from "../../servers/memcached.ts";
import { startProxy } from "../../servers/proxy.ts";
import { collectingLogger, type LogLine } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

const reply = { replyTo: null, correlationId: null };

describe.skipIf(!memcachedProgram())("memcached (needs memcached: script/setup installs it)", () => {
  let servers: MemcachedServer[] = [];
  const urlOf = (...ports: (number | undefined)[]) =>
    `cache+memcached://${ports.map((port) => `127.0.0.1:${port}`).join(";")}/`;
  const one = () => urlOf(servers[0]?.port);
  const all = () => urlOf(...servers.map(({ port }) => port));

  beforeAll(async () => {
    servers = await Promise.all([startMemcached(), startMemcached(), startMemcached()]);
  });

  afterAll(() => Promise.all(servers.map((server) => server.stop())));

  exerciseBackend({ name: "memcached", make: (options) => new CacheBackend(options), url: one });
  exerciseBackend({ name: "Three memcached", make: (options) => new CacheBackend(options), url: all });

  it("drops a result when it has expired, also after more than 30 days", async () => {
    const backend = (expires: number) => new CacheBackend({ ...backendOptions({ url: one }), expires });
    const [soon, late, never] = [backend(1), backend(40 * 86_400), backend(0)];
    const ids = [randomUUID(), randomUUID(), randomUUID()] as const;
    for (const [position, each] of [soon, late, never].entries()) {
      await each.storeResult(record(ids[position] as string, "SUCCESS", 1));
    }
    await eventually(async () => (await soon.getTaskMeta(ids[0])).status === "PENDING");
    expect((await late.getTaskMeta(ids[1])).status).toBe("SUCCESS");
    expect((await never.getTaskMeta(ids[2])).status).toBe("SUCCESS");
    await Promise.all([soon, late, never].map((each) => each.close()));
  });

  it("keeps failures as long as they are to be kept", async () => {
    const backend = new CacheBackend({ ...backendOptions({ url: one }), expires: 60, failureExpires: 1 });
    const id = randomUUID();
    await backend.storeResult(record(id, "FAILURE", { exc_type: "E", exc_message: [], exc_module: "m" }));
    await eventually(async () => (await backend.getTaskMeta(id)).status === "PENDING");
    await backend.close();
  });

  it("puts keys behind a prefix of cacheBackendOptions", async () => {
    const id = randomUUID();
    const prefixed = new CacheBackend({ ...backendOptions({ url: one }), cacheOptions: { key_prefix: "shop." } });
    const plain = new CacheBackend(backendOptions({ url: one }));
    await prefixed.storeResult(record(id, "SUCCESS", 1));
    expect((await plain.getTaskMeta(id)).status).toBe("PENDING");
    expect((await prefixed.wait(id, AbortSignal.timeout(10_000))).result).toBe(1);
    await Promise.all([plain.close(), prefixed.close()]);
  });

  it("takes results of half a megabyte, and says of one that is too large how long it is", async () => {
    const backend = new CacheBackend(backendOptions({ url: one }));
    const [large, huge] = [randomUUID(), randomUUID()];
    await backend.storeResult(record(large, "SUCCESS", "x".repeat(500_000)));
    expect((await backend.getTaskMeta(large)).result).toHaveLength(500_000);
    const error = await backend.storeResult(record(huge, "SUCCESS", "x".repeat(2_000_000))).catch((caught) => caught);
    expect(error).toMatchObject({ name: "EncodeError" });
    expect(error.message).toMatch(/has 2000\d{3} bytes, more than memcached takes \(its option -I\)/);
    expect((await backend.getTaskMeta(huge)).status).toBe("PENDING");
    await backend.close();
  });

  it("refuses an id that memcached has no key for, and nobody else's wait suffers", async () => {
    const backend = new CacheBackend(backendOptions({ url: one }));
    const id = randomUUID();
    const waiting = backend.wait(id, AbortSignal.timeout(10_000));
    for (const bad of ["with space", "a\r\nflush_all", "ü", "x".repeat(240)]) {
      await expect(backend.wait(bad, AbortSignal.timeout(5_000))).rejects.toThrow("memcached has no key");
      await expect(backend.storeResult(record(bad, "SUCCESS", 1))).rejects.toThrow("memcached has no key");
      await expect(backend.restoreGroup(bad)).rejects.toThrow("memcached has no key");
    }
    await backend.storeResult(record(id, "SUCCESS", "fine"));
    expect((await waiting).result).toBe("fine");
    await backend.close();
  });

  it("goes on when its server was started anew, and those who wait hear of what is stored then", async () => {
    const server = await startMemcached();
    const backend = new CacheBackend(backendOptions({ url: () => urlOf(server.port) }));
    const id = randomUUID();
    let seen = "";
    const waiting = backend.wait(id, AbortSignal.timeout(20_000), ({ status }) => {
      seen = status;
    });
    await backend.storeResult(record(id, "STARTED", null));
    // A store that never answered is given up; one that did is waited for.
    await eventually(() => seen === "STARTED");
    await server.kill();
    await expect(backend.getTaskMeta(id)).rejects.toMatchObject({ name: "OperationalError" });
    await server.start();
    await backend.storeResult(record(id, "SUCCESS", "again"));
    expect((await waiting).result).toBe("again");
    await backend.close();
    await server.stop();
  });

  it("sends a command once more whose connection broke", async () => {
    const proxy = await startProxy(servers[0]?.port ?? 0);
    const backend = new CacheBackend(backendOptions({ url: () => urlOf(proxy.port) }));
    const id = randomUUID();
    await backend.storeResult(record(id, "STARTED", null));
    proxy.cut();
    await backend.storeResult(record(id, "SUCCESS", 1));
    expect((await backend.getTaskMeta(id)).result).toBe(1);
    await backend.close();
    await proxy.refuse();
  });

  it("waits for a silent server no longer than cacheBackendOptions say", async () => {
    const proxy = await startProxy(servers[0]?.port ?? 0);
    const options = { ...backendOptions({ url: () => urlOf(proxy.port) }), cacheOptions: { timeout: 0.5 } };
    const backend = new CacheBackend(options);
    expect((await backend.getTaskMeta("id")).status).toBe("PENDING");
    proxy.freeze();
    await expect(backend.getTaskMeta("id")).rejects.toThrow(`127.0.0.1:${proxy.port}: no answer within 500 ms`);
    proxy.thaw();
    expect((await backend.getTaskMeta("id")).status).toBe("PENDING");
    await backend.close();
    await proxy.refuse();
  });

  it("says who cannot be reached", async () => {
    const port = await freePort();
    const backend = new CacheBackend(backendOptions({ url: () => urlOf(port) }));
    await expect(backend.getTaskMeta("id")).rejects.toThrow(new RegExp(`127.0.0.1:${port}: .*ECONNREFUSED`));
    await expect(backend.storeResult(record("id", "SUCCESS", 1))).rejects.toMatchObject({ name: "OperationalError" });
    await backend.close();
    await expect(backend.getTaskMeta("id")).rejects.toThrow("closed");
  });

  it.each(["memcached", "memcache", "pymemcache", "pylibmc"])("is found by Celery's name %s", async (name) => {
    const app = new Celery("shop", { backend: `cache+${one().replace("cache+memcached", name)}` });
    const id = randomUUID();
    await (await app.backend()).storeResult(record(id, "SUCCESS", name), reply);
    expect(await app.asyncResult(id).get({ timeout: 10 })).toBe(name);
    await app.close();
  });

  it("is found by resultBackend cache with cacheBackend, and says which options have no effect", async () => {
    const lines: LogLine[] = [];
    const app = new Celery("shop", {
      result_backend: "cache",
      cache_backend: one().replace("cache+", ""),
      cache_backend_options: { max_pool_size: 3, no_delay: true },
      log: collectingLogger(lines),
    });
    const id = randomUUID();
    await (await app.backend()).storeResult(record(id, "SUCCESS", 1), reply);
    expect(await app.asyncResult(id).get({ timeout: 10 })).toBe(1);
    expect(lines.map(({ text }) => text)).toEqual([
      "These cache_backend_options have no effect in celeriac: max_pool_size",
    ]);
    await app.close();
    const nowhere = new Celery("shop", { backend: "cache" });
    await expect(nowhere.backend()).rejects.toThrow("needs cacheBackend");
    await nowhere.close();
  });

  it("refuses a URL that names no server", () => {
    for (const url of ["cache+memcached://", "cache+memcached://;/", "cache+memcached://me:secret@host:11211/"]) {
      expect(() => new CacheBackend(backendOptions({ url: () => url }))).toThrow(/memcached reads cache\+memcached/);
    }
    expect(() => new CacheBackend({ ...backendOptions({ url: one }), cacheOptions: { timeout: "5" } })).toThrow(
      /timeout has to be a number of seconds/,
    );
  });
});
