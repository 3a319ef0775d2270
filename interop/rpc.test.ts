import { randomUUID } from "node:crypto";
import amqplib from "amqplib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { testApp } from "../test/support/app.ts";
import { exerciseResults } from "./exercise/results.ts";
import { PythonClient, PythonWorker } from "./python.ts";
import { ResultSides } from "./result-sides.ts";

const within = { timeout: 20 };
const python = inject("python");
const KINDS = [
  { name: "rpc over RabbitMQ", broker: inject("amqpUrl"), lacks: inject("amqpUrl") ? undefined : "RabbitMQ" },
  { name: "rpc over Redis", broker: inject("redisUrl"), lacks: undefined },
];

/** Results are messages to whoever sent the task. */
const UNABLE = {
  bytes: "messages are compared below",
  compression: "Celery compresses no result that it sends",
  final: "whatever comes is passed on",
  forget: "each side forgets what it received, below",
  groups: "neither side keeps groups",
  prefix: "messages have no keys",
};

for (const { name, broker, lacks: missing } of KINDS) {
  const lacks = python ? missing : "Python 3";
  describe.skipIf(lacks)(`results by ${name}${lacks ? ` (needs ${lacks})` : ""}`, () => {
    const store = { backend: "rpc://", broker, stop: async () => {} };
    const kind = { name, lacks: undefined, unable: UNABLE, start: async () => store };

    exerciseResults(kind, () => store);

    describe("with workers that say how far they are", () => {
      const settings = { task_track_started: true };
      const queues = { python: `python-${randomUUID()}`, typescript: `typescript-${randomUUID()}` };
      const side = { python, broker, backend: "rpc://", queue: queues.python, settings };
      const test = testApp({ broker, backend: "rpc://", taskDefaultQueue: queues.typescript, ...settings });
      const client = new PythonClient(side);
      let worker: PythonWorker;

      beforeAll(async () => {
        test.app.task({ name: "typescript.slow", bind: true }, async (self) => {
          await self.updateState({ state: "PROGRESS", meta: { done: self.request.retries } });
          if (self.request.retries < 1) throw self.retry({ countdown: 0.1, exc: new RangeError("not yet") });
          return "done";
        });
        [worker] = await Promise.all([PythonWorker.start(side), test.start(), client.run("from results import *")]);
      });

      afterAll(() => Promise.all([test.app.close(), client[Symbol.asyncDispose](), worker?.[Symbol.asyncDispose]()]));

      it("Python is told of each state that TypeScript sends, in order", async () => {
        const seen = await client.run<[string, unknown][]>(`
seen = []
r = app.send_task("typescript.slow", queue="${queues.typescript}")
value = r.get(timeout=20, on_message=lambda message: seen.append([message["status"], message["result"]]))
result = [*seen, value]`);
        const error = { exc_type: "ValueError", exc_message: ["not yet"], exc_module: "builtins" };
        expect(seen).toEqual([
          ["STARTED", expect.objectContaining({ pid: expect.any(Number) })],
          ["PROGRESS", { done: 0 }],
          ["RETRY", error],
          ["STARTED", expect.anything()],
          ["PROGRESS", { done: 1 }],
          ["SUCCESS", "done"],
          "done",
        ]);
      });

      it("TypeScript is told of each state that Python sends, in order", async () => {
        const states = async (task: string, args: unknown[]): Promise<string[]> => {
          const seen: string[] = [];
          const result = await test.app.sendTask(task, args, { queue: queues.python });
          await result.get({ ...within, onState: (state) => seen.push(state) });
          return seen;
        };
        expect(await states("tasks.progress", [])).toEqual(["STARTED", "PROGRESS"]);
        expect(await states("tasks.flaky", [1])).toEqual(["STARTED", "RETRY", "STARTED"]);
      });
    });

    it("each side forgets what it received", async () => {
      const sides = sidesOf(broker, {});
      await sides.client.run("from results import *");
      await sides.fromPython(`1, "SUCCESS"`);
      expect(await sides.get()).toBe(1);
      await sides.app.asyncResult(sides.id).forget();
      expect(await sides.app.asyncResult(sides.id).state()).toBe("PENDING");
      await sides.fromTypescript("SUCCESS", 2);
      expect(await sides.asked("[r.get(timeout=20), r.forget(), app.AsyncResult(r.id).state]")).toEqual([
        2,
        null,
        "PENDING",
      ]);
      await Promise.all([sides.app.close(), sides.client[Symbol.asyncDispose]()]);
    });
  });
}

const lacks = python ? KINDS[0]?.lacks : "Python 3";
describe.skipIf(lacks)(`what rpc leaves at RabbitMQ${lacks ? ` (needs ${lacks})` : ""}`, () => {
  let connection: Awaited<ReturnType<typeof amqplib.connect>>;
  let sides: ResultSides;

  beforeEach(async () => {
    connection = await amqplib.connect(inject("amqpUrl"));
    sides = sidesOf(inject("amqpUrl"), { result_expires: 90 });
    await sides.client.run("from results import *");
  });

  afterEach(() => Promise.all([connection?.close(), sides?.app.close(), sides?.client[Symbol.asyncDispose]()]));

  it.each([
    ["SUCCESS", `{"text": "grüße"}, "SUCCESS"`, { text: "grüße" }],
    [
      "FAILURE",
      `ValueError("bad", 1), "FAILURE"`,
      { exc_type: "ValueError", exc_message: ["bad", 1], exc_module: "builtins" },
    ],
  ])("both send the same message of %s", async (state, code, result) => {
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue("", { exclusive: true });
    const sent = async () => {
      let message: Awaited<ReturnType<typeof channel.get>> = false;
      await expect.poll(async () => (message = await channel.get(queue, { noAck: true }))).toBeTruthy();
      const { properties, content } = message as unknown as amqplib.GetMessage;
      const text = content
        .toString()
        .replaceAll(sides.id, "ID")
        .replace(/"date_done": "[^"]*"/, '"date_done": "DATE"');
      return { properties: { ...properties, correlationId: properties.correlationId.replace(sides.id, "ID") }, text };
    };
    sides.id = randomUUID();
    await sides.client.run(`store(app, "${sides.id}", "${queue}", ${code})`);
    const theirs = await sent();
    sides.id = randomUUID();
    await sides.againFromTypescript(state, result, { request: {}, extended: false }, queue);
    const ours = await sent();
    expect(ours.properties).toEqual(theirs.properties);
    expect(ours.text).toBe(theirs.text);
  });

  it("both have a reply queue that goes away as long after its last use as results are kept", async () => {
    const backend = await sides.app.backend();
    await backend.prepare?.();
    const theirs = await sides.client.run<string>("reply_queue(app)");
    const declared = async (queue: string, expires: number): Promise<string> => {
      const channel = await connection.createChannel();
      channel.on("error", () => undefined);
      const options = { durable: true, autoDelete: true, arguments: { "x-expires": expires } };
      return channel.assertQueue(queue, options).then(
        () => "the same",
        (error: Error) => error.message,
      );
    };
    for (const queue of [theirs, String(backend.replyTo)]) {
      expect(await declared(queue, 90_000)).toBe("the same");
      expect(await declared(queue, 91_000)).toContain("inequivalent arg 'x-expires'");
    }
  });
});

function sidesOf(broker: string, settings: Record<string, unknown>): ResultSides {
  const { app } = testApp({ broker, backend: "rpc://", ...settings });
  return new ResultSides(app, new PythonClient({ python, broker, backend: "rpc://", queue: "unused", settings }));
}
