import { afterEach, describe, expect, inject, it } from "vitest";
import { PoolAtWork } from "../../exercise/pool.ts";
import { startRedis } from "../../servers/redis.ts";
import { eventually } from "../../support/eventually.ts";

const within = { timeout: 20 };
const amqp = inject("amqpUrl");
let at: PoolAtWork;

afterEach(() => at[Symbol.asyncDispose]());

const lost = { type: "WorkerLostError", message: expect.stringMatching(/exitcode 1 Job: \d+\.$/) };

describe.each([
  { broker: "Redis", url: () => inject("redisUrl"), here: true },
  { broker: "RabbitMQ", url: () => amqp, here: amqp !== "" },
])("a task whose child is lost, over $broker", ({ url, here }) => {
  it.runIf(here)("goes back to its queue if it says so, and not for ever", async () => {
    at = new PoolAtWork("processes", url());
    const worker = await at.start(["-c", "1"], { taskRedeliveryLimit: 2 });
    const sent = await at.app.sendTask("tasks.lost", ["a"]);
    await expect(sent.get(within)).rejects.toMatchObject(lost);
    expect(at.runs()).toEqual(["a", "a", "a"]);
    expect(worker.stderr).toContain("was lost too often (taskRedeliveryLimit)");
    await eventually(async () => (await (await at.app.broker()).size(at.queue)) === 0);
  });

  it.runIf(here)("fails if it does not, and its message is gone; or is retried as often as it may be", async () => {
    at = new PoolAtWork("processes", url());
    const worker = await at.start(["-c", "1"]);
    await expect((await at.app.sendTask("tasks.lost_once", ["once"])).get(within)).rejects.toMatchObject(lost);
    await expect((await at.app.sendTask("tasks.lost_retry", ["retry"])).get(within)).rejects.toMatchObject(lost);
    expect(at.runs()).toEqual(["once", "retry", "retry"]);
    worker.signal("SIGTERM");
    expect(await worker.ended()).toBe(0);
    expect(await (await at.app.broker()).size(at.queue)).toBe(0);
  });
});

it("a task that kills its whole worker is given up after as many redeliveries, over Redis", async () => {
  await using redis = { server: await startRedis(), [Symbol.asyncDispose]: () => redis.server.stop() };
  const brokerTransportOptions = { visibility_timeout: 1 };
  at = new PoolAtWork("async", redis.server.url, { brokerTransportOptions });
  const settings = { brokerTransportOptions, taskRedeliveryLimit: 1 };
  const sent = await at.app.sendTask("tasks.fatal", ["x"]);
  await at.app.sendTask("tasks.fatal", ["late"], { countdown: 600 });
  for (let run = 1; run <= 2; run++) {
    const worker = at.begin(["-c", "1"], settings);
    expect(await worker.ended()).toBeNull();
    expect(at.runs()).toHaveLength(run);
  }
  const last = await at.start(["-c", "1"], settings);
  await expect(sent.get(within)).rejects.toMatchObject({
    type: "WorkerLostError",
    message: "Worker exited prematurely: lost 1 times with this task.",
  });
  last.signal("SIGTERM");
  expect(await last.ended()).toBe(0);
  expect(at.runs()).toHaveLength(2);
});

it("a late acknowledged task that succeeded is not run again with workerDeduplicateSuccessfulTasks", async () => {
  at = new PoolAtWork("async");
  const sent = await at.app.sendTask("tasks.once", ["a"]);
  const message = JSON.parse((await at.redis.lindex(at.queue, 0)) ?? "");
  await at.start(["-c", "1"], { workerDeduplicateSuccessfulTasks: true });
  expect(await sent.get(within)).toBe("a");
  message.properties.delivery_info.redelivered = true;
  await at.redis.lpush(at.queue, JSON.stringify(message));
  expect(await (await at.app.sendTask("tasks.once", ["b"])).get(within)).toBe("b");
  expect(at.runs()).toEqual(["a", "b"]);
});
