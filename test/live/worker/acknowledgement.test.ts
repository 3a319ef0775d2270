import { afterEach, describe, expect, inject, it } from "vitest";
import { ownSettings, type TestApp, testApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

const amqp = inject("amqpUrl");
const within = { timeout: 10 };
let test: TestApp;

afterEach(() => test.app.close());

describe.runIf(amqp !== "")("late acknowledgement over RabbitMQ", () => {
  /** An application whose queue has a dead-letter queue. */
  function start(): { name: string; dead: string } {
    const own = ownSettings();
    const name = String(own.taskDefaultQueue);
    const dead = `${name}-dead`;
    const queueArguments = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead };
    test = testApp({ ...own, broker: amqp, taskQueues: [{ name, queueArguments }, { name: dead }] });
    return { name, dead };
  }

  const size = async (queue: string): Promise<number> => (await test.app.broker()).size(queue);

  it("of a task that failed is left out with acksOnFailure off: its message is dead-lettered", async () => {
    const { name, dead } = start();
    const fails = test.app.task({ name: "tasks.fails", acksLate: true, acksOnFailure: false }, () => {
      throw new RangeError("no");
    });
    const fine = test.app.task({ name: "tasks.fails.fine", acksLate: true, acksOnFailureOrTimeout: true }, () => {
      throw new RangeError("no");
    });
    await test.start({ queues: [name] });
    const broker = await test.app.broker();
    await broker.declare(test.app.queues.get(dead));
    await expect((await fine.delay()).get(within)).rejects.toMatchObject({ type: "ValueError" });
    await expect((await fails.delay()).get(within)).rejects.toMatchObject({ type: "ValueError" });
    await eventually(async () => (await size(dead)) === 1);
  });

  it("of a task that took too long is left out with acksOnTimeout off: it runs again", async () => {
    const { name } = start();
    const slow = test.app.task(
      { name: "tasks.slow", bind: true, acksLate: true, acksOnTimeout: false, timeLimit: 0.3 },
      (self) => (self.request.deliveryInfo.redelivered ? "again" : new Promise(() => {})),
    );
    await test.start({ queues: [name] });
    const sent = await slow.delay();
    await eventually(async () => (await sent.state()) === "SUCCESS");
    expect(await sent.get(within)).toBe("again");
  });
});
