import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import type { BackendOptions } from "../../../src/backends/backend.ts";
import { RedisBackend } from "../../../src/backends/redis/redis-backend.ts";
import { Celery } from "../../../src/index.ts";
import { backendOptions, exerciseBackend, record } from "../../exercise/backend.ts";
import { freePort } from "../../servers/free-port.ts";
import { startProxy, type TcpProxy } from "../../servers/proxy.ts";
import { type RedisServer, startRedis } from "../../servers/redis.ts";
import { collectingLogger, type LogLine } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

exerciseBackend({
  name: "Redis",
  make: (options) => new RedisBackend(options),
  url: () => inject("redisUrl"),
});

const NO_RETRY = { retry_policy: { max_retries: 0 } };

describe("the Redis backend", () => {
  let server: RedisServer;
  let proxy: TcpProxy;
  const backends: RedisBackend[] = [];

  beforeAll(async () => {
    server = await startRedis(["--requirepass", "s3cret"]);
    proxy = await startProxy(server.port);
  });

  afterEach(async () => {
    await Promise.all(backends.splice(0).map((backend) => backend.close()));
  });

  afterAll(async () => {
    await proxy.refuse();
    await server.stop();
  });

  function open(more: Partial<BackendOptions> = {}): RedisBackend {
    const url = (): string => `redis://:s3cret@127.0.0.1:${proxy.port}/0`;
    const backend = new RedisBackend({ ...backendOptions({ url }), connectionTimeout: 1, ...more });
    backends.push(backend);
    return backend;
  }

  it("stores by its retry policy, and says so, while the server is away", async () => {
    const lines: LogLine[] = [];
    const policy = { max_retries: 100, interval_start: 0.05, interval_step: 0.05, interval_max: 0.1 };
    const backend = open({ transportOptions: { retry_policy: policy }, log: collectingLogger(lines) });
    const id = randomUUID();
    await backend.storeResult(record(id, "STARTED", null));
    await proxy.refuse();
    const storing = backend.storeResult(record(id, "SUCCESS", 1));
    const saving = backend.saveGroup({ id, parent: null, results: [] });
    await eventually(() => lines.some(({ text }) => text.includes(`Could not save the group ${id}, trying again`)));
    await eventually(() => lines.some(({ text }) => text.includes(`Could not store the result of ${id}, trying`)));
    await proxy.accept();
    await Promise.all([storing, saving]);
    expect((await backend.getTaskMeta(id)).result).toBe(1);
    expect(await backend.restoreGroup(id)).toMatchObject({ id });
  });

  it("gives up after as many retries as the policy has", async () => {
    const lines: LogLine[] = [];
    const url = `redis://127.0.0.1:${await freePort()}/0`;
    const policy = { max_retries: 3, interval_start: 0, interval_step: 0.01 };
    const backend = open({ url, transportOptions: { retry_policy: policy }, log: collectingLogger(lines) });
    await expect(backend.storeResult(record("id", "SUCCESS", 1))).rejects.toMatchObject({ name: "OperationalError" });
    expect(lines).toHaveLength(3);
    const none = open({ url, transportOptions: NO_RETRY, log: collectingLogger(lines) });
    await expect(none.storeResult(record("id", "SUCCESS", 1))).rejects.toMatchObject({ name: "OperationalError" });
    expect(lines).toHaveLength(3);
  });

  it("reads once, but again and again with resultBackendAlwaysRetry", async () => {
    const lines: LogLine[] = [];
    const alwaysRetry = { maxRetries: null, baseSleepMs: 10, maxSleepMs: 100 };
    const [once, always] = [open(), open({ alwaysRetry, log: collectingLogger(lines) })];
    const id = randomUUID();
    await always.storeResult(record(id, "SUCCESS", 1));
    await proxy.refuse();
    await expect(once.getTaskMeta(id)).rejects.toMatchObject({ name: "OperationalError" });
    const reading = always.getTaskMeta(id);
    await eventually(() => lines.some(({ text }) => text.includes(`Could not read the result of ${id}, trying again`)));
    await proxy.accept();
    expect((await reading).result).toBe(1);
    const limited = open({
      url: `redis://127.0.0.1:${await freePort()}/0`,
      alwaysRetry: { maxRetries: 2, baseSleepMs: 1, maxSleepMs: 2 },
    });
    await expect(limited.forget(id)).rejects.toMatchObject({ name: "OperationalError" });
  });

  it("does not wait for a retry when it closes", async () => {
    const policy = { max_retries: null, interval_start: 60, interval_max: 60 };
    const lines: LogLine[] = [];
    const url = `redis://127.0.0.1:${await freePort()}/0`;
    const backend = open({ url, transportOptions: { retry_policy: policy }, log: collectingLogger(lines) });
    const storing = backend.storeResult(record("id", "SUCCESS", 1)).catch((caught: unknown) => caught);
    await eventually(() => lines.length > 0);
    await backend.close();
    expect(await storing).toMatchObject({ name: "OperationalError" });
  });

  it("refuses a policy that is none", () => {
    expect(() => open({ transportOptions: { retry_policy: { max_retries: "3" } } })).toThrow(
      /retry_policy.max_retries has to be a number from 0 up, got "3"/,
    );
  });

  it("notices a silent server within redisSocketTimeout", async () => {
    const redis = { ...backendOptions({ url: () => "" }).redis, socketTimeout: 0.5 };
    const backend = open({ redis, transportOptions: NO_RETRY });
    await backend.getTaskMeta("id");
    proxy.freeze();
    try {
      const started = performance.now();
      await expect(backend.getTaskMeta("id")).rejects.toThrow("Command timed out");
      expect(performance.now() - started).toBeLessThan(10_000);
    } finally {
      proxy.thaw();
    }
  });

  it("asks for a sign of life every redisBackendHealthCheckInterval, and lets go of a connection without one", async () => {
    const redis = { ...backendOptions({ url: () => "" }).redis, healthCheckInterval: 0.2 };
    const backend = open({ redis });
    const id = randomUUID();
    const waiting = backend.wait(id, AbortSignal.timeout(30_000));
    await backend.getTaskMeta(id);
    const taken = proxy.taken;
    proxy.freeze();
    await eventually(() => proxy.taken > taken);
    proxy.thaw();
    await eventually(() => backend.storeResult(record(id, "SUCCESS", 1)).then(() => true));
    expect((await waiting).result).toBe(1);
  });

  it("takes from the settings what its URL leaves open", async () => {
    const id = randomUUID();
    const app = new Celery("shop", {
      backend: "redis",
      redis_host: "127.0.0.1",
      redis_port: server.port,
      redis_password: "s3cret",
      redis_db: 3,
      redis_client_name: "shop-results",
    });
    await (await app.backend()).storeResult(record(id, "SUCCESS", 5), { replyTo: null, correlationId: null });
    const redis = new Redis(`redis://:s3cret@127.0.0.1:${server.port}/3`);
    expect(await redis.exists(`celery-task-meta-${id}`)).toBe(1);
    expect(await redis.client("LIST")).toMatch(/name=shop-results .*db=3/);
    redis.disconnect();
    const byUrl = new Celery("shop", { backend: "redis:///3", redis_port: server.port, redis_password: "s3cret" });
    expect(await byUrl.asyncResult(id).get({ timeout: 10 })).toBe(5);
    const wrong = open({ url: `redis://:wrong@127.0.0.1:${server.port}/3`, transportOptions: NO_RETRY });
    await expect(wrong.getTaskMeta(id)).rejects.toThrow(/WRONGPASS/);
    await Promise.all([app.close(), byUrl.close()]);
  });
});
