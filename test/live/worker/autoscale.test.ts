import { afterEach, expect, it } from "vitest";
import { PoolAtWork } from "../../exercise/pool.ts";
import { eventually } from "../../support/eventually.ts";

const within = { timeout: 20 };
let at: PoolAtWork;

afterEach(() => at[Symbol.asyncDispose]());

it.each(["async", "processes"])(
  "the pool %s grows with the tasks in hand, and shrinks when none come",
  async (pool) => {
    process.env.AUTOSCALE_KEEPALIVE = "1";
    at = new PoolAtWork(pool);
    const worker = await at.start(["--autoscale", "3,1"]);
    delete process.env.AUTOSCALE_KEEPALIVE;
    const began = Date.now();
    const sent = await Promise.all(Array.from({ length: 3 }, () => at.app.sendTask("tasks.sleep", [2])));
    await Promise.all(sent.map((one) => one.get(within)));
    // One after another would have taken six.
    expect(Date.now() - began).toBeLessThan(5500);
    expect(worker.stderr).toMatch(/Scaling up \d processes\./);
    await eventually(() => worker.stderr.includes("Scaling down"));
    expect(await (await at.app.sendTask("tasks.add", [1, 1])).get(within)).toBe(2);
  },
);
