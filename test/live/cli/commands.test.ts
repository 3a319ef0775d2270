import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { type TestApp, testApp } from "../../support/app.ts";
import type { Outcome } from "../../support/command.ts";
import { Project } from "../../support/project.ts";

let project: Project;
let test: TestApp;

beforeEach(() => {
  test = testApp();
  project = new Project();
  const { taskDefaultQueue, controlExchange, eventExchange, brokerUrl: broker } = test.app.settings;
  const settings = { broker, backend: broker, taskDefaultQueue, controlExchange, eventExchange };
  project.write(
    "tasks.mjs",
    `import { Celery } from "celeriac";\nexport const app = new Celery("shop", ${JSON.stringify(settings)});\n`,
  );
});

afterEach(async () => {
  await test.app.close();
  await project[Symbol.asyncDispose]();
});

const celeriac = (...args: string[]): Promise<Outcome> => project.celeriac(["-A", "tasks.mjs", ...args]);

/** Calls a task by the command and gives its id. */
async function call(...args: string[]): Promise<string> {
  const { code, stdout, output } = await celeriac("call", ...args);
  expect(code, output).toBe(0);
  expect(stdout).toMatch(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\n$/);
  return stdout.trim();
}

const waiting = async (queue = test.app.settings.taskDefaultQueue): Promise<number> => (await connected()).size(queue);

async function connected(): Promise<Awaited<ReturnType<typeof test.app.broker>>> {
  const broker = await test.app.broker();
  await broker.connect();
  return broker;
}

describe("call and result", () => {
  it("send a task with all its values, and print what came of it as JSON", async () => {
    const seen: unknown[] = [];
    test.app.task("tasks.note", (...values: unknown[]) => {
      seen.push(values);
      return { total: 2.5, many: 2n ** 70n, text: "grüße", nothing: null };
    });
    await test.start();
    const id = await call("tasks.note", "-a", '[1, 18446744073709551616, "é"]');
    expect(await celeriac("result", id, "--timeout", "10")).toMatchObject({
      code: 0,
      output: '{"total": 2.5, "many": 1180591620717411303424, "text": "gr\\u00fc\\u00dfe", "nothing": null}\n',
    });
    expect(seen).toEqual([[1, 18446744073709551616n, "é"]]);
  });

  it("with keywords, a countdown and an expiry", async () => {
    test.app.task("tasks.add", (x: number, y: number) => [x + y, test.app.currentTask?.request.expires != null]);
    await test.start();
    const sent = Date.now();
    const id = await call("tasks.add", "-k", '{"y": 3, "x": 2}', "--countdown", "0.5", "--expires", "60");
    expect(await test.app.asyncResult(id).get({ timeout: 10 })).toEqual([5, true]);
    expect(Date.now() - sent).toBeGreaterThan(500);
  });

  it("into another queue, where it waits", async () => {
    const queue = `${test.app.settings.taskDefaultQueue}-other`;
    await call("tasks.add", "--queue", queue);
    expect([await waiting(queue), await waiting()]).toEqual([1, 0]);
    await (await connected()).purge(queue);
  });

  it("without a module, by -b and --result-backend, or by the environment", async () => {
    test.app.task("tasks.add", (x: number, y: number) => x + y);
    await test.start();
    const url = inject("redisUrl");
    const args = ["call", "tasks.add", "-a", "[1, 2]", "--queue", test.app.settings.taskDefaultQueue];
    const { stdout } = await project.celeriac(["-b", url, "--result-backend", url, ...args]);
    const environment = { CELERY_BROKER_URL: url, CELERY_RESULT_BACKEND: url };
    const result = await project.celeriac(["result", stdout.trim(), "--timeout", "10"], environment);
    expect(result).toMatchObject({ code: 0, output: "3\n" });
  });

  it("of a task that failed: its error on stderr and exit code 1, its traceback when asked for", async () => {
    test.app.task("tasks.fail", () => {
      throw new RangeError("out of apples");
    });
    await test.start();
    const id = await call("tasks.fail");
    const result = await celeriac("result", id, "--timeout", "10");
    expect(result).toMatchObject({ code: 1, stdout: "", output: "Error: ValueError: out of apples\n" });
    const traceback = await celeriac("result", id, "--traceback");
    expect(traceback.stdout).toMatch(/^ +at .*commands\.test\.ts/m);
    expect(traceback.stdout.trim().split("\n").at(-1)).toBe("ValueError: out of apples");
    expect(traceback.code).toBe(0);
  });

  it("of a task that nobody runs: exit code 1 when the time is over", async () => {
    const id = await call("tasks.nobody");
    const result = await celeriac("result", id, "--timeout", "0.2");
    expect(result).toMatchObject({ code: 1, output: "Error: The operation timed out.\n" });
  });

  it("without a result backend: says what to give it", async () => {
    const { code, output } = await project.celeriac(["-b", inject("redisUrl"), "result", "some-id"]);
    expect(output).toContain("No result backend is configured");
    expect(output).not.toMatch(/^ +at /m);
    expect(code).toBe(1);
  });
});

describe("status", () => {
  it("ends with 69 when nobody replies", async () => {
    expect(await celeriac("status", "-t", "0.3")).toMatchObject({
      code: 69,
      output: "Error: No nodes replied within time constraint\n",
    });
  });

  it("shows who is online, one node a line", async () => {
    await test.start({ hostname: "a@here" });
    await test.start({ hostname: "b@here" });
    expect(await celeriac("status", "-t", "0.5")).toMatchObject({
      code: 0,
      output: "a@here: OK\nb@here: OK\n\n2 nodes online.\n",
    });
    expect(await celeriac("-q", "status", "-t", "0.5", "-d", "b@here")).toMatchObject({ output: "b@here: OK\n" });
    const { stdout } = await celeriac("status", "-t", "0.5", "--json");
    expect(JSON.parse(stdout)).toEqual({ "a@here": { ok: "pong" }, "b@here": { ok: "pong" } });
    expect(await celeriac("status", "-t", "0.3", "-d", "c@here")).toMatchObject({ code: 69 });
  });
});

describe("purge", () => {
  it("drops nothing unless it may ask or is told not to", async () => {
    await test.app.sendTask("tasks.add");
    const { code, output } = await celeriac("purge");
    expect(output).toContain("give -f to purge without a question");
    expect(code).toBe(1);
    expect(await waiting()).toBe(1);
  });

  it("drops what waits in the application's queues with -f", async () => {
    await Promise.all([test.app.sendTask("tasks.add"), test.app.sendTask("tasks.add")]);
    const output = "Purged 2 messages from 1 task queue.\n";
    expect(await celeriac("purge", "-f")).toMatchObject({ code: 0, output });
    expect(await waiting()).toBe(0);
    expect(await celeriac("purge", "-f")).toMatchObject({ output: "No messages purged from 1 task queue.\n" });
  });

  it("drops what waits in the named queues, but for those excepted", async () => {
    const own = test.app.settings.taskDefaultQueue;
    const queues = ["a", "b", "c"].map((name) => `${own}-${name}`);
    await Promise.all(queues.map((queue) => test.app.sendTask("tasks.add", [], { queue })));
    const { output } = await celeriac("purge", "-f", "-Q", queues.join(","), "-X", queues[1] ?? "");
    expect(output).toBe("Purged 2 messages from 2 task queues.\n");
    expect(await Promise.all(queues.map(waiting))).toEqual([0, 1, 0]);
    await (await connected()).purge(queues[1] ?? "");
  });
});

describe("report", () => {
  it("shows versions and settings, and no password", async () => {
    const secret = "hunter2";
    const settings = {
      brokerUrl: [`redis://:${secret}@one/0`, `amqp://shop:${secret}@two//`],
      resultBackend: `redis://:${secret}@one/1?ssl_keyfile_password=${secret}`,
      brokerTransportOptions: { sentinel_kwargs: { password: secret }, visibility_timeout: 5 },
      brokerUseSsl: { keyfile: secret },
    };
    const text = `import { Celery } from "celeriac";\nexport const app = new Celery("shop", ${JSON.stringify(settings)});`;
    project.write("secrets.mjs", text);
    const { code, stdout, output } = await project.celeriac(["-A", "secrets", "report"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^software -> celeriac:\d+\.\d+\.\d+ node:\d+\.\d+\.\d+\n +amqplib:\d.* ioredis:\d.* zod:\d/,
    );
    expect(stdout).toContain("transport:redis://:**@one/0;amqp://shop:**@two// results:redis://:**@one/1");
    expect(stdout).toContain('"visibility_timeout":5');
    expect(stdout).toContain('task_default_queue: "celery"');
    expect(output).not.toContain(secret);
  });
});
