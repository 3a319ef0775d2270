import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { freePort } from "../../test/servers/free-port.ts";
import { type RedisServer, startRedis } from "../../test/servers/redis.ts";
import { eventually } from "../../test/support/eventually.ts";
import type { RunningCommand } from "../../test/support/project.ts";
import { PythonWorker } from "../python.ts";
import { Example, exampleFolder } from "./example.ts";

const python = inject("python");

describe.skipIf(!python)("examples/express before a Python worker (needs Python 3)", () => {
  let redis: RedisServer;
  let example: Example;
  let worker: PythonWorker;
  let server: RunningCommand;
  let url: string;

  beforeAll(async () => {
    redis = await startRedis();
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const side = { python, broker: redis.url, backend: redis.url, queue: "celery" };
    const app = { module: "tasks", folder: exampleFolder("express") };
    example = new Example("express", "express");
    server = example.module("server.ts", {
      CELERY_BROKER_URL: redis.url,
      CELERY_RESULT_BACKEND: redis.url,
      PORT: String(port),
      PATIENCE: "1.5",
    });
    [worker] = await Promise.all([PythonWorker.start({ ...side, app }), server.said("listening on")]);
  });

  afterAll(async () => {
    await example?.[Symbol.asyncDispose]();
    await worker?.[Symbol.asyncDispose]();
    await redis?.stop();
  });

  const charge = (order: string, body: object): Promise<Response> =>
    fetch(`${url}/orders/${order}/charge`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });

  it("answers with what Python returns", async () => {
    const response = await charge("A-1", { cents: 1999 });
    expect([response.status, await response.json()]).toEqual([200, { order: "A-1", charged: "19.99" }]);
  });

  it("answers 422 with what Python raises, for a wrong call too", async () => {
    const refused = await charge("A-2", { cents: 0 });
    const error = { type: "ValueError", message: "order A-2 costs nothing" };
    expect([refused.status, await refused.json()]).toEqual([422, { error }]);
    const wrong = await charge("A-2", { dollars: 1 });
    expect(wrong.status).toBe(422);
    expect(((await wrong.json()) as { error: unknown }).error).toMatchObject({ type: "TypeError" });
  });

  it("answers 202 when it takes longer, and tells of the task later", async () => {
    const response = await charge("A-3", { cents: 1, seconds: 2.5 });
    expect(response.status).toBe(202);
    const task = `${url}${response.headers.get("location")}`;
    const told = async (): Promise<{ state: string }> => (await fetch(task)).json() as Promise<{ state: string }>;
    expect(await told()).toMatchObject({ state: "PENDING" });
    await eventually(async () => (await told()).state === "SUCCESS");
    expect(await told()).toEqual({ state: "SUCCESS", result: { order: "A-3", charged: "0.01" } });
  });

  it("answers 503 while the broker is away, and ends on SIGTERM", async () => {
    await redis.stop();
    expect((await charge("A-4", { cents: 1 })).status).toBe(503);
    server.signal("SIGTERM");
    expect(await server.ended()).toBe(0);
  });
});
