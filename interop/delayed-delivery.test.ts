import { connect } from "amqplib";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { Celery, Worker } from "../src/index.ts";
import { type TestApp, testApp } from "../test/support/app.ts";
import { eventually } from "../test/support/eventually.ts";
import { PythonClient, PythonWorker } from "./python.ts";
import { type Sides, sidesOf, transports } from "./transports.ts";

const python = inject("pythons")["5.7.0"];
const rabbit = transports().find(({ name }) => name === "RabbitMQ, results in Redis");
const within = { timeout: 20 };

/** What makes RabbitMQ keep tasks until their time, in both languages. */
const QUORUM = {
  task_default_queue_type: "quorum",
  task_default_exchange_type: "topic",
  task_create_missing_queue_type: "quorum",
  task_create_missing_queue_exchange_type: "topic",
};

describe.skipIf(!python || !rabbit)("native delayed delivery (needs Python 3 and RabbitMQ)", () => {
  let sides: Sides;
  let test: TestApp;
  let app: Celery;
  let typescript: Worker;
  let worker: PythonWorker;
  let client: PythonClient;

  beforeAll(async () => {
    if (!python || !rabbit) return;
    sides = sidesOf(rabbit, python);
    const side = { ...sides.python, settings: { ...sides.python.settings, ...QUORUM } };
    test = testApp({ ...sides.settings, ...QUORUM });
    app = test.app;
    app.task("tasks.add", (x: number, y: number) => x + y);
    app.task({ name: "tasks.again", bind: true }, (self) => {
      if (self.request.retries < 2) throw self.retry({ countdown: 1.5 });
      return self.request.deliveryInfo.routingKey;
    });
    typescript = await test.start();
    worker = await PythonWorker.start(side);
    client = new PythonClient(side);
    await client.run("1");
  });

  afterAll(async () => {
    await Promise.all([app?.close(), client?.[Symbol.asyncDispose](), worker?.[Symbol.asyncDispose]()]);
  });

  /** How many messages RabbitMQ keeps until their time. */
  async function kept(): Promise<number> {
    const connection = await connect(inject("amqpUrl"));
    const channel = await connection.createChannel();
    let count = 0;
    for (let level = 0; level < 28; level++)
      count += (await channel.checkQueue(`celery_delayed_${level}`)).messageCount;
    await connection.close();
    return count;
  }

  it("is declared by both sides in the same way", () => {
    expect(worker.output).toContain("ready.");
    expect(worker.output).not.toContain("Failed to");
    expect(test.logged("exists with")).toEqual([]);
    expect(test.logged("not available")).toEqual([]);
  });

  it("holds a task from TypeScript that Python runs in time", async () => {
    const start = Date.now();
    const result = await app.sendTask("tasks.add", [2, 3], { queue: sides.queues.python, countdown: 3 });
    await eventually(async () => (await kept()) === 1);
    expect(await result.get(within)).toBe(5);
    expect(Date.now() - start).toBeGreaterThanOrEqual(2900);
    expect(await kept()).toBe(0);
  });

  it("holds a task from Python, which no worker of TypeScript has to", async () => {
    const start = Date.now();
    const id = await client.run<string>(
      `app.send_task("tasks.add", (20, 22), queue="${sides.queues.typescript}", countdown=3).id`,
    );
    await eventually(async () => (await kept()) === 1);
    expect(typescript.state.scheduled.size).toBe(0);
    expect(await app.asyncResult(id).get(within)).toBe(42);
    expect(Date.now() - start).toBeGreaterThanOrEqual(2900);
  });

  it("holds retries, whose routing key does not grow", async () => {
    const key = (await (await app.sendTask("tasks.again")).get(within)) as string;
    expect(key).toMatch(new RegExp(`^(?:[01]\\.){28}${sides.queues.typescript}$`));
  });

  it("holds a task with an ETA", async () => {
    const result = await app.sendTask("tasks.add", [1, 1], { eta: new Date(Date.now() + 3000) });
    await eventually(async () => (await kept()) === 1);
    expect(await result.get(within)).toBe(2);
  });
});
