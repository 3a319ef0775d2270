import { afterEach, beforeEach, expect, it } from "vitest";
import type { Celery } from "../../../src/index.ts";
import { type TestApp, testApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";

let test: TestApp;
let app: Celery;

beforeEach(() => {
  test = testApp();
  app = test.app;
});

afterEach(() => app.close());

/** Serves a task that notes when it ran, in milliseconds. */
function noting(options: { name: string; rateLimit?: string | number }): number[] {
  const ran: number[] = [];
  app.task(options, () => void ran.push(performance.now()));
  return ran;
}

const send = (name: string, count: number): Promise<unknown> =>
  Promise.all(Array.from({ length: count }, () => app.sendTask(name)));

const gaps = (moments: number[]): number[] => moments.slice(1).map((moment, index) => moment - (moments[index] ?? 0));

it("a rate limit leaves the time that it asks for between tasks of a name", async () => {
  const ran = noting({ name: "tasks.limited", rateLimit: "5/s" });
  await test.start();
  await send("tasks.limited", 4);
  await eventually(() => ran.length === 4);
  for (const gap of gaps(ran)) expect(gap).toBeGreaterThan(150);
});

it("a task that waits for its turn holds no slot: others run meanwhile", async () => {
  const limited = noting({ name: "tasks.limited", rateLimit: "6/m" });
  const free = noting({ name: "tasks.free" });
  const worker = await test.start({ concurrency: 1, prefetchMultiplier: 0 });
  await send("tasks.limited", 3);
  await eventually(() => worker.state.scheduled.size === 2);
  await send("tasks.free", 5);
  await eventually(() => free.length === 5);
  expect(limited.length).toBe(1);
  await worker.stop();
  expect(await (await app.broker()).size(app.settings.taskDefaultQueue)).toBe(2);
});

it("remote control changes the limit of those that wait, and lifts it", async () => {
  const ran = noting({ name: "tasks.limited" });
  const worker = await test.start();
  const limit = async (rate: string | number): Promise<unknown> => {
    const [reply] = await app.control.rateLimit("tasks.limited", rate, { reply: true, limit: 1 });
    return reply?.[worker.hostname];
  };
  expect(await limit("1/h")).toEqual({ ok: "new rate limit set successfully" });
  await send("tasks.limited", 5);
  await eventually(() => worker.state.scheduled.size === 4);
  expect(ran.length).toBe(1);
  expect(await limit("10/s")).toEqual({ ok: "new rate limit set successfully" });
  await eventually(() => ran.length >= 3);
  expect(await limit(0)).toEqual({ ok: "rate limit disabled successfully" });
  await eventually(() => ran.length === 5);
  expect(worker.state.scheduled.size).toBe(0);
});

it("a revoked task that waits for its turn does not run", async () => {
  const ran = noting({ name: "tasks.limited", rateLimit: "2/s" });
  const worker = await test.start();
  await send("tasks.limited", 1);
  await eventually(() => ran.length === 1);
  const result = await app.sendTask("tasks.limited");
  await eventually(() => worker.state.scheduled.size === 1);
  await result.revoke();
  await expect(result.get({ timeout: 5 })).rejects.toMatchObject({ type: "TaskRevokedError" });
  await eventually(() => worker.state.scheduled.size === 0);
  expect(ran.length).toBe(1);
});

it("taskDefaultRateLimit holds for tasks that say nothing, workerDisableRateLimits for none", async () => {
  const own = testApp({ ...ownOf(app), taskDefaultRateLimit: "1/h" });
  const ran: number[] = [];
  own.app.task("tasks.limited", () => void ran.push(1));
  const worker = await own.start();
  await send("tasks.limited", 2);
  await eventually(() => worker.state.scheduled.size === 1);
  await own.app.close();
  const unlimited = testApp({ ...ownOf(app), taskDefaultRateLimit: "1/h", workerDisableRateLimits: true });
  unlimited.app.task("tasks.limited", () => void ran.push(1));
  await unlimited.start();
  await send("tasks.limited", 2);
  await eventually(() => ran.length === 4);
  await unlimited.app.close();
});

it.each(["x/m", "5/d", "-1", "1/s/s"])("the rate limit %s is refused where the task is defined", (rateLimit) => {
  expect(() => app.task({ name: "tasks.limited", rateLimit }, () => 1)).toThrow(/task tasks\.limited: rateLimit: /);
});

function ownOf({ settings }: Celery): object {
  const { taskDefaultQueue, controlExchange, eventExchange } = settings;
  return { taskDefaultQueue, controlExchange, eventExchange };
}
