import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { Celery, type GivenSettings } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { Project, type RunningCommand } from "../support/project.ts";

/** What a pool can do beside running tasks. */
export interface PoolAbilities {
  /** Tasks run in children: what blocks there holds up nobody else, and can be ended. */
  children: boolean;
  /** The children are processes, which signals reach. */
  signals: boolean;
}

/** A worker, a command of its own, and an application to send it tasks. */
export class PoolAtWork implements AsyncDisposable {
  readonly project = new Project();
  readonly queue = `pool-${randomUUID().slice(0, 8)}`;
  readonly app: Celery;
  readonly redis = new Redis(inject("redisUrl"));
  readonly #pool: string;
  readonly #broker: string;

  constructor(pool: string, broker = inject("redisUrl"), settings: GivenSettings = {}) {
    this.#pool = pool;
    this.#broker = broker;
    this.project.write("tasks.mjs", readFileSync(join(import.meta.dirname, "pool-tasks.mjs"), "utf8"));
    const backend = inject("redisUrl");
    const own = { taskDefaultQueue: this.queue, controlExchange: this.queue, eventExchange: this.queue };
    this.app = new Celery("shop", { broker, backend, ...own, ...settings });
  }

  /** Starts a worker, and waits until it takes tasks. */
  start(args: readonly string[] = ["-c", "2"], settings: GivenSettings = {}): Promise<RunningCommand> {
    return this.begin(args, settings).said(" ready.");
  }

  /** Starts a worker. */
  begin(args: readonly string[] = [], settings: GivenSettings = {}, env: NodeJS.ProcessEnv = {}): RunningCommand {
    const command = ["-A", "./tasks", "worker", "-l", "INFO", "-n", "pool@here", "-P", this.#pool, ...args];
    return this.project.start(command, { ...this.#environment(settings), ...env });
  }

  /** Starts a program of the project's own. */
  program(name: string, ...args: string[]): RunningCommand {
    return this.project.run([join(this.project.folder, name), ...args], this.#environment({}));
  }

  #environment(settings: GivenSettings): NodeJS.ProcessEnv {
    const SETTINGS = JSON.stringify(settings);
    const urls = { CELERY_BROKER_URL: this.#broker, CELERY_RESULT_BACKEND: inject("redisUrl") };
    return { ...urls, QUEUE: this.queue, SETTINGS };
  }

  /** What the runs of tasks left, a word each. */
  runs(): string[] {
    const file = join(this.project.folder, "runs");
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  }

  /** What is stored of a result, as text. */
  async stored(id: string): Promise<string> {
    return (await this.redis.get(`celery-task-meta-${id}`)) ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app.close();
    this.redis.disconnect();
    await this.project[Symbol.asyncDispose]();
  }
}

const within = { timeout: 20 };

/** What every pool must do, and what those with children must do besides. */
export function exercisePool(name: string, { children, signals }: PoolAbilities): void {
  let at: PoolAtWork;
  let app: Celery;
  let worker: RunningCommand;

  beforeAll(async () => {
    at = new PoolAtWork(name);
    app = at.app;
    worker = await at.start();
  });

  afterAll(() => at[Symbol.asyncDispose]());

  const call = async (task: string, ...args: unknown[]): Promise<unknown> =>
    (await app.sendTask(task, args)).get(within);

  describe(`tasks in the pool ${name}`, () => {
    it("run, and return values of every kind unchanged", async () => {
      expect(await call("tasks.add", 2, 3)).toBe(5);
      const sent = await app.sendTask("tasks.values");
      await sent.get(within);
      const { result } = JSON.parse(await at.stored(sent.id));
      expect(await at.stored(sent.id)).toContain('"float": 1.0, "big": 1180591620717411303424, ');
      expect(result).toMatchObject({ at: { __type__: "datetime" }, bytes: { __type__: "base64" } });
      const whole = await app.sendTask("tasks.echo", [{ a: [null, "ü", 2n ** 64n, -0, Number.NaN] }]);
      await whole.get(within);
      expect(await at.stored(whole.id)).toContain('[null, "\\u00fc", 18446744073709551616, -0.0, NaN]');
    });

    it("fail as they say, with their stack", async () => {
      const failed = await app.sendTask("tasks.fail");
      await expect(failed.get(within)).rejects.toMatchObject({
        type: "OutOfStock",
        module: "shop.errors",
        args: ["apples", 3],
      });
      const { traceback } = JSON.parse(await at.stored(failed.id));
      expect(traceback).toContain("tasks.mjs");
      expect(traceback).toMatch(/\nOutOfStock: \('apples', 3\)$/);
      await expect(call("tasks.unwritable")).rejects.toMatchObject({ type: "EncodeError" });
      await expect(call("tasks.expected")).rejects.toMatchObject({ type: "OutOfStock" });
      await eventually(() => worker.stderr.includes("raised expected: OutOfStock"));
      await expect(call("tasks.rejected")).rejects.toMatchObject({ type: "Reject" });
    });

    it("retry, are retried, and are replaced", async () => {
      expect(await call("tasks.flaky", 2)).toBe(2);
      expect(await call("tasks.again", "one")).toEqual(["other", "a"]);
      await expect(call("tasks.auto")).rejects.toMatchObject({ type: "OutOfStock", args: ["apples", 3] });
      expect(await call("tasks.replaced", 2)).toBe(42);
    });

    it("know their request, and send others as their own", async () => {
      expect(await call("tasks.request", 1)).toEqual({
        name: "tasks.request",
        retries: 0,
        args: [1],
        hostname: "pool@here",
        routingKey: at.queue,
      });
      if (name === "solo") return;
      const sent = await app.sendTask("tasks.inside");
      const result = (await sent.get(within)) as Record<string, unknown>;
      expect(result).toMatchObject({ id: sent.id, rootId: sent.id, lineage: [sent.id, sent.id] });
      const { children: left } = JSON.parse(await at.stored(sent.id));
      expect(left).toEqual([[[result.sent, null], null]]);
    });

    it("store states of their own", async () => {
      const sent = await app.sendTask("tasks.progress");
      await eventually(async () => (await sent.state()) === "PROGRESS");
      expect(await at.stored(sent.id)).toContain('"result": {"done": 1.0}');
      expect(await sent.get(within)).toBe("done");
    });

    it("call back with what they returned", async () => {
      const chained = app.signature("tasks.add", [1, 2]).pipe(app.signature("tasks.add", [10]));
      expect(await (await chained.applyAsync()).get(within)).toBe(13);
    });

    it("are told of their soft time limit by their signal, and may go on", async () => {
      expect(await call("tasks.gentle")).toBe("SoftTimeLimitExceeded");
    });

    it("that exceed their hard time limit fail, and leave their slot to others", async () => {
      const sent = await Promise.all([1, 2, 3].map(() => app.sendTask("tasks.endless", [], { timeLimit: 0.5 })));
      for (const one of sent) {
        await expect(one.get(within)).rejects.toMatchObject({
          type: "TimeLimitExceeded",
          module: "billiard.exceptions",
          args: [0.5],
        });
      }
      expect(await Promise.all([call("tasks.add", 1, 1), call("tasks.add", 1, 2)])).toEqual([2, 3]);
    });

    it("that are terminated end, and no other does", async () => {
      const doomed = await app.sendTask("tasks.endless");
      await eventually(() => worker.stderr.includes(`Task tasks.endless[${doomed.id}] received`));
      const spared = name === "solo" ? undefined : await app.sendTask("tasks.sleep", [1]);
      await new Promise((resolve) => setTimeout(resolve, 300));
      await app.control.revoke(doomed.id, { terminate: true });
      await expect(doomed.get(within)).rejects.toMatchObject({ type: "TaskRevokedError", args: ["terminated"] });
      expect(await doomed.state()).toBe("REVOKED");
      if (spared) expect(await spared.get(within)).toBe("slept");
      expect(await call("tasks.add", 1, 1)).toBe(2);
    });
  });

  describe.runIf(children)(`children of the pool ${name}`, () => {
    it("block without holding up remote control, acknowledgements or each other", async () => {
      const blocking = await app.sendTask("tasks.block", [3]);
      await eventually(async () => (await blocking.state()) === "STARTED");
      const started = Date.now();
      expect(await app.control.inspect({ timeout: 1 }).ping()).toEqual({ "pool@here": { ok: "pong" } });
      expect(await call("tasks.add", 1, 1)).toBe(2);
      expect(await at.redis.hlen("unacked")).toBe(0);
      expect(Date.now() - started).toBeLessThan(2500);
      expect(await blocking.get(within)).toBe("blocked");
    });

    it("that block are ended by the hard limit and by termination", async () => {
      const slow = await app.sendTask("tasks.block", [60], { timeLimit: 0.5 });
      const revoked = await app.sendTask("tasks.block", [60]);
      await expect(slow.get(within)).rejects.toMatchObject({ type: "TimeLimitExceeded" });
      await eventually(async () => (await revoked.state()) === "STARTED");
      await app.control.revoke(revoked.id, { terminate: true, signal: "SIGKILL" });
      await expect(revoked.get(within)).rejects.toMatchObject({ type: "TaskRevokedError" });
      expect(await Promise.all([call("tasks.add", 1, 1), call("tasks.add", 1, 2)])).toEqual([2, 3]);
    });

    it("that end take their task with them, and are replaced", async () => {
      const jobs = await Promise.all([app.sendTask("tasks.exit", [3]), app.sendTask("tasks.uncaught")]);
      await expect(jobs[0]?.get(within)).rejects.toMatchObject({
        type: "WorkerLostError",
        module: "billiard.exceptions",
        message: expect.stringMatching(/^Worker exited prematurely: exitcode 3 Job: \d+\.$/),
      });
      await expect(jobs[1]?.get(within)).rejects.toMatchObject({
        message: expect.stringMatching(/^Worker exited prematurely: exitcode 1 Job: \d+\.$/),
      });
      expect(await Promise.all([call("tasks.add", 1, 1), call("tasks.add", 1, 2)])).toEqual([2, 3]);
    });

    it.runIf(signals)("that are killed are told by the signal", async () => {
      await expect(call("tasks.signal", "SIGKILL")).rejects.toMatchObject({
        type: "WorkerLostError",
        message: expect.stringMatching(/^Worker exited prematurely: signal 9 \(SIGKILL\) Job: \d+\.$/),
      });
      expect(await call("tasks.add", 1, 1)).toBe(2);
    });
  });

  describe.runIf(children)(`the age of the pool ${name}'s children`, () => {
    it("ends with the tasks and the memory that they may use", async () => {
      await using own = new PoolAtWork(name);
      await own.start(["-c", "1", "--max-tasks-per-child", "2", "--max-memory-per-child", "200000"]);
      const places: string[] = [];
      for (let n = 0; n < 6; n++) places.push(String(await (await own.app.sendTask("tasks.where")).get(within)));
      expect(places[0]).toBe(places[1]);
      expect(new Set(places).size).toBe(3);
      const first = await (await own.app.sendTask("tasks.hoard", [250])).get(within);
      expect(await (await own.app.sendTask("tasks.where")).get(within)).not.toEqual(first);
    });
  });
}
