import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MongodbBackend } from "../../../src/backends/mongodb/mongodb-backend.ts";
import { Celery, Float } from "../../../src/index.ts";
import { backendOptions, exerciseBackend, record } from "../../exercise/backend.ts";
import { freePort } from "../../servers/free-port.ts";
import { type MongodbServer, mongodbProgram, startMongodb } from "../../servers/mongodb.ts";
import { eventually } from "../../support/eventually.ts";

describe.skipIf(!mongodbProgram())("MongoDB (needs it: script/setup installs it)", () => {
  let server: MongodbServer;
  const url = () => `${server.url}/shop`;
  const open = (more = {}) => MongodbBackend.open({ ...backendOptions({ url }), ...more });

  beforeAll(async () => {
    server = await startMongodb();
  }, 120_000);

  afterAll(() => server?.stop());

  exerciseBackend({
    name: "MongoDB",
    make: (options) => MongodbBackend.open(options),
    url,
    lacks: { groups: "Celery keeps only the ids of a group's members there" },
  });

  it("keeps the ids of a group's members", async () => {
    const backend = await open();
    const member = (id: string) => ({ id, parent: null, results: null });
    const group = { id: randomUUID(), parent: null, results: [member("a"), member("b")] };
    await backend.saveGroup(group);
    expect(await backend.restoreGroup(group.id)).toEqual(group);
    await backend.deleteGroup(group.id);
    expect(await backend.restoreGroup(group.id)).toBeNull();
    await backend.close();
  });

  it("lets only one of two that come at the same moment be the SUCCESS that stays", async () => {
    const backends = await Promise.all(Array.from({ length: 4 }, () => open()));
    const ids = Array.from({ length: 20 }, () => randomUUID());
    await Promise.all(
      ids.flatMap((id) => backends.map((backend, number) => backend.storeResult(record(id, "SUCCESS", number)))),
    );
    const first = await Promise.all(ids.map((id) => backends[0]?.getTaskMeta(id)));
    for (const id of ids) await backends[1]?.storeResult(record(id, "SUCCESS", "late"));
    expect(await Promise.all(ids.map((id) => backends[0]?.getTaskMeta(id)))).toEqual(first);
    await Promise.all(backends.map((backend) => backend.close()));
  });

  it("keeps arguments of extended results in MongoDB's own types", async () => {
    const backend = await open();
    const id = randomUUID();
    const kwargs = { big: 2 ** 40, huge: 2n ** 62n, float: new Float(2), text: "ü", none: null };
    const request = { name: "tasks.add", args: [1, [2.5]], kwargs, hostname: "w@h", retries: 0, routingKey: "q" };
    await backend.storeResult(record(id, "SUCCESS", 1, { request, extended: true }));
    expect(await backend.getTaskMeta(id)).toMatchObject({
      name: "tasks.add",
      args: [1, [2.5]],
      kwargs: { big: 2 ** 40, huge: 2n ** 62n, float: 2, text: "ü", none: null },
    });
    for (const value of [2n ** 63n, () => 1]) {
      const bad = record(randomUUID(), "SUCCESS", 1, { request: { ...request, args: [value] }, extended: true });
      await expect(backend.storeResult(bad)).rejects.toMatchObject({ name: "EncodeError" });
    }
    await backend.close();
  });

  it("drops what ended before its expiry, tasks and groups, and keeps the rest", async () => {
    const backend = await open({ url: `${server.url}/cleanup`, expires: 60 });
    const [ended, running] = [randomUUID(), randomUUID()];
    await backend.storeResult(record(ended, "SUCCESS", 1));
    await backend.storeResult(record(running, "STARTED", null));
    await backend.saveGroup({ id: "group", parent: null, results: [] });
    await backend.cleanup();
    expect((await backend.getTaskMeta(ended)).status).toBe("SUCCESS");
    await backend.cleanup(new Date(Date.now() + 120_000));
    expect((await backend.getTaskMeta(ended)).status).toBe("PENDING");
    expect((await backend.getTaskMeta(running)).status).toBe("STARTED");
    expect(await backend.restoreGroup("group")).toBeNull();
    await backend.close();
  });

  it("is found by its settings, collections and database of their own included", async () => {
    const settings = { host: "127.0.0.1", port: server.port, database: "own", taskmeta_collection: "mine" };
    const app = new Celery("shop", { backend: "mongodb://", mongodb_backend_settings: settings });
    const id = randomUUID();
    await (await app.backend()).storeResult(record(id, "SUCCESS", 5), { replyTo: null, correlationId: null });
    expect(await app.asyncResult(id).get({ timeout: 20 })).toBe(5);
    const elsewhere = await open({ url: `${server.url}/own`, mongodb: { taskmeta_collection: "mine" } });
    expect((await elsewhere.getTaskMeta(id)).result).toBe(5);
    expect((await (await open()).getTaskMeta(id)).status).toBe("PENDING");
    await Promise.all([app.close(), elsewhere.close()]);
  });

  it("goes on when its server was started anew", async () => {
    const own = await startMongodb();
    const backend = await open({ url: own.url });
    const id = randomUUID();
    const waiting = backend.wait(id, AbortSignal.timeout(60_000));
    await backend.storeResult(record(id, "STARTED", null));
    await own.kill();
    await own.start();
    const stored = (): Promise<boolean> =>
      backend.storeResult(record(id, "SUCCESS", "again")).then(
        () => true,
        () => false,
      );
    await eventually(stored, 30_000);
    expect((await waiting).result).toBe("again");
    await backend.close();
    await own.stop();
  }, 90_000);

  it("says what cannot be reached or used", async () => {
    const port = await freePort();
    const away = await open({ url: `mongodb://me:secret@127.0.0.1:${port}/shop`, connectionTimeout: 0.5 });
    const error = await away.getTaskMeta("id").catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: "OperationalError" });
    expect((error as Error).message).toMatch(`mongodb://me:**@127.0.0.1:${port}/shop: `);
    await away.close();
    for (const [bad, why] of [
      [{ url: "mongodb://h:p:q/" }, /resultBackend mongodb/],
      [{ mongodb: { no_such_option: 1 } }, /no_such_option/],
      [{ mongodb: { options: [] } }, /options has to be an object/],
      [{ mongodb: { database: 5 } }, /5 is no name/],
    ] as const) {
      await expect(open(bad)).rejects.toThrow(why);
    }
  });
});
