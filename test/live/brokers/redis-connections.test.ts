import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Celery, ImproperlyConfigured, OperationalError } from "../../../src/index.ts";
import { freePort } from "../../servers/free-port.ts";
import { type RedisServer, startRedis } from "../../servers/redis.ts";
import { ServerProcess, untilListening } from "../../servers/server.ts";
import { type Certificates, makeCertificates } from "../../support/certificates.ts";
import { eventually } from "../../support/eventually.ts";

const apps: Celery[] = [];

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

/** Sends a task to a worker of the same application, and gets its result. */
async function roundTrip(settings: Record<string, unknown>): Promise<number> {
  const app = new Celery("connections", {
    taskDefaultQueue: `connections-${randomUUID()}`,
    controlExchange: randomUUID(),
    brokerConnectionRetryOnStartup: false,
    ...settings,
  });
  apps.push(app);
  const add = app.task("tasks.add", (x: number, y: number) => x + y);
  await app.worker({ concurrency: 1 }).start();
  return (await add.delay(1, 2)).get({ timeout: 10 });
}

describe("TLS", () => {
  let certificates: Certificates;
  let server: RedisServer;
  let url: string;

  beforeAll(async () => {
    certificates = makeCertificates();
    const port = await freePort();
    const { ca, certificate, key } = certificates;
    server = await startRedis([
      ...["--tls-port", String(port), "--tls-cert-file", certificate, "--tls-key-file", key],
      ...["--tls-ca-cert-file", ca, "--tls-auth-clients", "no"],
    ]);
    url = `rediss://127.0.0.1:${port}/0`;
  });

  afterAll(async () => {
    await server.stop();
    rmSync(certificates.folder, { recursive: true });
  });

  it("takes the certificate authority from the URL", async () => {
    const trusted = `${url}?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs=${encodeURIComponent(certificates.ca)}`;
    expect(await roundTrip({ broker: trusted, backend: trusted })).toBe(3);
  });

  it("takes it from brokerUseSsl and redisBackendUseSsl, in Python's words", async () => {
    const ssl = { ssl_ca_certs: certificates.ca, ssl_cert_reqs: "required" };
    expect(await roundTrip({ broker: url, backend: url, brokerUseSsl: ssl, redisBackendUseSsl: ssl })).toBe(3);
  });

  it("refuses a server that nobody vouches for", async () => {
    await expect(roundTrip({ broker: url, backend: url })).rejects.toThrow(/certificate/);
  });

  it("checks nothing with CERT_NONE", async () => {
    const open = `${url}?ssl_cert_reqs=CERT_NONE`;
    expect(await roundTrip({ broker: open, backend: open })).toBe(3);
  });

  it("says which file it cannot read", () => {
    const broken = roundTrip({ broker: `${url}?ssl_ca_certs=/nowhere/ca.pem`, backend: "disabled" });
    return expect(broken).rejects.toThrow(/TLS file \/nowhere\/ca\.pem/);
  });
});

describe("a socket, a database and a password", () => {
  let server: RedisServer;
  let socket: string;

  beforeAll(async () => {
    socket = join("/tmp", `celeriac-${randomUUID().slice(0, 8)}.sock`);
    server = await startRedis(["--unixsocket", socket, "--requirepass", "s3cret"]);
  });

  afterAll(() => server.stop());

  it("are used by redis+socket://", async () => {
    const url = `redis+socket://:s3cret@${socket}?virtual_host=3`;
    expect(await roundTrip({ broker: url, backend: url })).toBe(3);
  });

  it("are used by redis://", async () => {
    const url = `redis://:s3cret@127.0.0.1:${server.port}/5`;
    expect(await roundTrip({ broker: url, backend: url })).toBe(3);
  });

  it("that are wrong are said to be, without the password", async () => {
    const url = `redis://:wrong-one@127.0.0.1:${server.port}/0`;
    const error = await roundTrip({ broker: url, backend: url }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(OperationalError);
    expect((error as Error).message).toMatch(/WRONGPASS|NOAUTH|invalid/i);
    expect((error as Error).message).not.toContain("wrong-one");
  });
});

describe("several brokers", () => {
  it("are tried in turn until one answers", async () => {
    const server = await startRedis();
    const urls = ["redis://127.0.0.1:1/0", server.url];
    expect(await roundTrip({ broker: urls, backend: server.url })).toBe(3);
    expect(await roundTrip({ broker: urls.join(";"), backend: server.url })).toBe(3);
    await Promise.all(apps.splice(0).map((app) => app.close()));
    await server.stop();
  });
});

describe("Sentinel", () => {
  it("finds the master, and the next one after a failover", async () => {
    const master = await startRedis();
    const replica = await startRedis(["--replicaof", "127.0.0.1", String(master.port)]);
    const sentinels = await Promise.all([1, 2, 3].map(() => startSentinel(master.port)));
    await eventually(() => sentinels.every(({ process }) => /\+slave/.test(process.output)), 20_000);
    const url = sentinels.map(({ port }) => `sentinel://127.0.0.1:${port}/0`).join(";");
    const options = { master_name: "mymaster" };
    const app = new Celery("sentinel", {
      broker: url,
      backend: url,
      brokerTransportOptions: options,
      resultBackendTransportOptions: options,
      taskDefaultQueue: `sentinel-${randomUUID()}`,
    });
    apps.push(app);
    const add = app.task("tasks.add", (x: number, y: number) => x + y);
    await app.worker({ concurrency: 1 }).start();
    expect(await (await add.delay(1, 2)).get({ timeout: 10 })).toBe(3);
    await master.kill();
    await eventually(() => sentinels.some(({ process }) => /\+switch-master/.test(process.output)), 30_000);
    const result = await eventually(() => add.applyAsync([3, 4], { timeout: 2 }).catch(() => null), 20_000);
    expect(await result.get({ timeout: 15 })).toBe(7);
    await Promise.all(apps.splice(0).map((each) => each.close()));
    for (const { process } of sentinels) await process.end("SIGKILL");
    await Promise.all([master.stop(), replica.stop()]);
  }, 90_000);

  it("needs the master's name", async () => {
    await expect(roundTrip({ broker: "sentinel://127.0.0.1:1", backend: "disabled" })).rejects.toThrow(/master_name/);
  });
});

describe("a wrong URL", () => {
  const wrong: [url: string, text: RegExp][] = [
    ["http://localhost", /http:\/\/localhost.*starts with one of .*redis:\/\//],
    ["redis://localhost/tasks", /the database must be a number from 0 up, not "tasks"/],
    ["redis://local host:x/0", /is no Redis URL; they look like redis:\/\//],
    ["redis://localhost/0?ssl_cert_reqs=CERT_NONE", /rediss:\/\//],
    ["rediss://localhost/0?ssl_cert_reqs=MAYBE", /CERT_REQUIRED, CERT_OPTIONAL, CERT_NONE/],
    ["redis+socket://", /names no socket/],
  ];

  it.each(wrong)("like %s says what is wrong with it", async (url, text) => {
    const app = new Celery("wrong", { broker: url });
    apps.push(app);
    const error = await app.sendTask("tasks.add").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ImproperlyConfigured);
    expect((error as Error).message).toMatch(text);
  });

  it("of transport options says which", async () => {
    const app = new Celery("wrong", {
      broker: "redis://localhost/0",
      brokerTransportOptions: { visibility_timeout: "soon" },
    });
    apps.push(app);
    await expect(app.sendTask("tasks.add")).rejects.toThrow(/brokerTransportOptions\.visibility_timeout/);
  });
});

async function startSentinel(masterPort: number): Promise<{ port: number; process: ServerProcess }> {
  const port = await freePort();
  const file = join("/tmp", `celeriac-sentinel-${port}.conf`);
  writeFileSync(
    file,
    [
      `port ${port}`,
      "bind 127.0.0.1",
      "dir /tmp",
      `sentinel monitor mymaster 127.0.0.1 ${masterPort} 2`,
      "sentinel down-after-milliseconds mymaster 1000",
      "sentinel failover-timeout mymaster 5000",
    ].join("\n"),
  );
  const process = new ServerProcess("redis-server", [file, "--sentinel"]);
  process.start();
  await untilListening(port, process);
  return { port, process };
}
