import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { eventually } from "../test/support/eventually.ts";
import { Project, type RunningCommand } from "../test/support/project.ts";
import { startCeleriac } from "./celeriac.ts";
import { Flower, type FlowerAnswer } from "./flower.ts";
import { sidesOf, type Transport, transports } from "./transports.ts";
import { madeFlower } from "./venv.ts";

const NODE = "typescript@here";

/** What Flower knows of a worker. */
interface Known {
  stats: Record<string, unknown> & { pool: Record<string, unknown>; total: Record<string, number> };
  active_queues: { name: string }[];
  registered: string[];
  conf: Record<string, unknown>;
  active: { id: string; args: string }[];
}

const python = inject("python") ? await madeFlower() : undefined;
const [redis, ...others] = transports();
const rabbit = others.find(({ name }) => name === "RabbitMQ, results in Redis");

describe.skipIf(!python)("Flower, unmodified (needs Python 3)", () => {
  describe.each([redis, rabbit].filter((transport) => transport !== undefined))("over $name", flower);
});

function flower(transport: Transport): void {
  let project: Project;
  let pages: Flower;
  let worker: RunningCommand;
  let queue: string;

  beforeAll(async () => {
    project = new Project();
    const sides = sidesOf(transport, python ?? "");
    queue = sides.queues.typescript;
    const side = { ...sides.python, queue };
    // A worker that sends no events about tasks until Flower asks it to.
    [pages, worker] = await Promise.all([Flower.start(side), startCeleriac(project, side, ["-c", "2", "-n", NODE])]);
    await eventually(async () => (await pages.json<Record<string, boolean>>("/api/workers?status=1"))[NODE], 20_000);
    await eventually(() => worker.stderr.includes("Events of group {task} enabled by remote."), 20_000);
  });

  afterAll(async () => {
    await Promise.all([pages?.[Symbol.asyncDispose](), project?.[Symbol.asyncDispose]()]);
  });

  const known = async (): Promise<Known> => {
    const workers = await eventually(async () => {
      const all = await pages.json<Record<string, Known>>(`/api/workers?refresh=1&workername=${NODE}`);
      const { stats, active_queues: queues, registered, conf } = all[NODE] ?? {};
      return stats && queues && registered && conf && all;
    }, 20_000);
    return workers[NODE] as Known;
  };
  const send = async (task: string, args: unknown[]): Promise<string> =>
    (await pages.post<{ "task-id": string }>(`/api/task/send-task/${task}`, { args }))["task-id"];
  const task = (id: string): Promise<Record<string, unknown>> => pages.json(`/api/task/info/${id}`);
  const inState = (id: string, state: string): Promise<unknown> =>
    eventually(async () => (await task(id).catch(() => undefined))?.state === state, 20_000);
  const said = ({ status, text }: FlowerAnswer): [number, unknown] => [
    status,
    text.startsWith("{") ? JSON.parse(text).message : text,
  ];

  it("shows the worker with its pool, queues, tasks and settings", async () => {
    const { stats, active_queues: queues, registered, conf } = await known();
    expect(stats.pool).toMatchObject({ "max-concurrency": 2, processes: [expect.any(Number)] });
    expect(stats).toMatchObject({ pid: expect.any(Number), prefetch_count: 8, rusage: { utime: expect.any(Number) } });
    expect(queues.map(({ name }) => name)).toEqual([queue]);
    expect(registered).toContain("tasks.add");
    expect(conf).toMatchObject({ task_default_queue: queue });
  });

  it("shows tasks with their arguments, results and runtimes", async () => {
    const [done, failed] = await Promise.all([send("tasks.add", [1, 2]), send("tasks.fail", ["broken"])]);
    await Promise.all([inState(done, "SUCCESS"), inState(failed, "FAILURE")]);
    expect(await task(done)).toMatchObject({
      name: "tasks.add",
      args: "[1, 2]",
      kwargs: "{}",
      result: "3",
      runtime: expect.any(Number),
      worker: NODE,
      received: expect.any(Number),
      started: expect.any(Number),
      succeeded: expect.any(Number),
    });
    expect(await task(failed)).toMatchObject({
      exception: "ValueError('broken')",
      traceback: expect.stringContaining("RangeError: broken"),
    });
    const listed = await pages.json<Record<string, { worker: string }>>(`/api/tasks?workername=${NODE}`);
    expect(Object.keys(listed)).toEqual(expect.arrayContaining([done, failed]));
    expect(await pages.json(`/api/task/result/${done}`)).toMatchObject({ state: "SUCCESS", result: 3 });
  });

  it("serves its pages about them", async () => {
    const id = await send("tasks.add", [20, 22]);
    await inState(id, "SUCCESS");
    const read = async (path: string): Promise<string> => {
      const { status, text } = await pages.get(path);
      expect([path, status]).toEqual([path, 200]);
      return text;
    };
    expect(await read("/workers")).toContain(NODE);
    const page = await read(`/worker/${NODE}`);
    for (const shown of ["Celeriac:async", queue, "tasks.add", "task_default_queue"]) expect(page).toContain(shown);
    expect(await read(`/task/${id}`)).toMatch(/\[20, 22\][\s\S]*42/);
    await read("/tasks");
    await read("/broker");
    expect(await read("/metrics")).toContain(`flower_worker_online{worker="${NODE}"} 1.0`);
  });

  it("grows and shrinks the pool", async () => {
    expect(said(await pages.press(`/api/worker/pool/grow/${NODE}`, { n: "3" }))).toEqual([
      200,
      `Growing '${NODE}' worker's pool by 3`,
    ]);
    expect((await known()).stats.pool["max-concurrency"]).toBe(5);
    expect(said(await pages.press(`/api/worker/pool/shrink/${NODE}`, { n: "1" }))).toEqual([
      200,
      `Shrinking '${NODE}' worker's pool by 1`,
    ]);
    expect((await known()).stats.pool["max-concurrency"]).toBe(4);
  });

  it("says why it cannot scale a pool that was not started so, or restart one", async () => {
    const scaled = await pages.press(`/api/worker/pool/autoscale/${NODE}`, { min: "1", max: "3" });
    expect(said(scaled)).toEqual([403, expect.stringContaining("Autoscale not enabled")]);
    const restarted = await pages.press(`/api/worker/pool/restart/${NODE}`);
    expect(said(restarted)).toEqual([403, expect.stringContaining("Pool restarts not enabled")]);
  });

  it("adds and cancels a queue", async () => {
    const more = `${queue}-more`;
    const added = await pages.press(`/api/worker/queue/add-consumer/${NODE}`, { queue: more });
    expect(said(added)).toEqual([200, `add consumer ${more}`]);
    expect((await known()).active_queues.map(({ name }) => name)).toEqual([queue, more]);
    const cancelled = await pages.press(`/api/worker/queue/cancel-consumer/${NODE}`, { queue: more });
    expect(said(cancelled)).toEqual([200, `no longer consuming from ${more}`]);
    expect((await known()).active_queues.map(({ name }) => name)).toEqual([queue]);
  });

  it("sets limits of time and rate", async () => {
    const timed = await pages.press("/api/task/timeout/tasks.sleep", { workername: NODE, soft: "0.2", hard: "0.5" });
    expect(said(timed)).toEqual([200, "time limits set successfully"]);
    const slow = await send("tasks.sleep", [60]);
    await inState(slow, "FAILURE");
    expect(await task(slow)).toMatchObject({ exception: "TimeLimitExceeded(0.5)" });
    const lifted = await pages.press("/api/task/timeout/tasks.sleep", { workername: NODE });
    expect(said(lifted)).toEqual([200, "time limits set successfully"]);
    const limited = await pages.press("/api/task/rate-limit/tasks.add", { workername: NODE, ratelimit: "1/h" });
    expect(said(limited)).toEqual([200, "new rate limit set successfully"]);
    expect((await known()).registered).toContain("tasks.add [rate_limit=1/h]");
  });

  it("revokes a task that runs", async () => {
    const id = await send("tasks.sleep", [60]);
    await inState(id, "STARTED");
    expect((await known()).active).toMatchObject([{ id, args: "[60]" }]);
    const revoked = await pages.press(`/api/task/revoke/${id}`, { terminate: "true", signal: "SIGTERM" });
    expect(said(revoked)).toEqual([200, `Revoked '${id}'`]);
    await inState(id, "REVOKED");
  });

  it("shuts the worker down", async () => {
    expect(said(await pages.press(`/api/worker/shutdown/${NODE}`))).toEqual([200, "Shutting down!"]);
    expect(await worker.ended()).toBe(0);
    await eventually(async () => !(await pages.json<Record<string, boolean>>("/api/workers?status=1"))[NODE], 20_000);
  });
}
