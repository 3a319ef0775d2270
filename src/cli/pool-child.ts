import { parentPort, Worker, workerData } from "node:worker_threads";
import { nodeFormat } from "../app/nodename.ts";
import { overrideSettings } from "../app/overrides.ts";
import type { Celery, GivenSettings } from "../index.ts";
import { includeModules, loadApp } from "./load-app.ts";
import { commandLog, type LogOptions } from "./log.ts";

/** What the worker tells its child at the start. */
interface ChildData {
  module: string;
  /** The application's name. */
  app: string;
  include: string[];
  /** What the command line says in the place of what the code says. */
  overrides?: GivenSettings;
  /** How the command logs; the application's own way where there is no command. */
  log?: LogOptions & { pattern?: string };
  /** The worker's node name. */
  hostname: string;
}

/** The messages of `src/pools/children/child.ts`, from this side. */
type FromPool =
  | { type: "start"; data: ChildData }
  | { type: "run" | "tell"; job: number; work?: unknown; message?: unknown }
  | { type: "answer"; call: number; error: string | null; value: unknown }
  | { type: "exit" };
type ToPool = (message: { type: string; [field: string]: unknown }) => void;

type Runner = ReturnType<Celery["taskRunner"]>;

/** The child's side of its pool's wire: runs one task at a time, until it is told to end. */
class PoolChild {
  readonly #index: number;
  readonly #send: ToPool;
  #app: Celery | undefined;
  #hostname = "";
  #runner: Runner | undefined;
  #task: { job: number; tell: (message: never) => void } | undefined;
  readonly #calls = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #nextCall = 1;

  /** @param index its place in the pool, from 1 */
  constructor(index: number, send: ToPool) {
    this.#index = index;
    this.#send = send;
  }

  receive(message: FromPool): void {
    if (message.type === "start") void this.#start(message.data);
    else if (message.type === "run") void this.#run(message.job, message.work);
    else if (message.type === "answer") this.#onAnswer(message);
    else if (message.type === "exit") void this.#exit();
    else if (this.#task?.job === message.job) this.#task.tell(message.message as never);
  }

  async #start({ module, app, include, overrides, log, hostname }: ChildData): Promise<void> {
    try {
      const file = log?.pattern && nodeFormat(log.pattern, hostname, this.#index);
      const told = log && commandLog({ ...log, file, sync: true });
      overrideSettings({ ...overrides, ...(told && { log: told.log }) });
      process.on("unhandledRejection", (error) => {
        const text = `Unhandled rejection: ${error instanceof Error ? error.message : error}`;
        if (told) told.log.error({ err: error }, text);
        else console.error(text, error);
      });
      this.#app = await loadApp(module, app);
      for (const name of include) await includeModules(name);
      this.#runner = this.#app.taskRunner();
      this.#hostname = hostname;
      await this.#app.signals.send("worker_process_init", { sender: hostname });
      this.#send({ type: "ready" });
    } catch (error) {
      const { message, stack } = error as Error;
      this.#send({ type: "unfit", error: { message, stack: stack ?? message } });
      // Once it has been said.
      setTimeout(() => process.exit(1), 100);
    }
  }

  async #run(job: number, work: unknown): Promise<void> {
    const task = (this.#runner as Runner).run(work as never, (ask) => this.#ask(job, ask));
    this.#task = { job, tell: task.tell };
    const result = await task.result;
    this.#task = undefined;
    this.#send({ type: "done", job, result, memory: memory() });
  }

  #ask(job: number, ask: unknown): Promise<unknown> {
    const call = this.#nextCall++;
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      this.#send({ type: "call", job, call, ask });
    });
  }

  #onAnswer({ call, error, value }: Extract<FromPool, { type: "answer" }>): void {
    const asked = this.#calls.get(call);
    this.#calls.delete(call);
    if (error === null) asked?.resolve(value);
    else asked?.reject(new Error(error));
  }

  async #exit(): Promise<void> {
    await this.#app?.signals.send("worker_process_shutdown", { sender: this.#hostname, pid: process.pid });
    await this.#app?.close();
    process.exit(0);
  }
}

/** KiB: of the process, or of the thread's own heap. */
function memory(): number {
  if (!parentPort) return Math.round(process.memoryUsage.rss() / 1024);
  const { heapUsed, external } = process.memoryUsage();
  return Math.round((heapUsed + external) / 1024);
}

function serve(): void {
  (globalThis as { [key: symbol]: unknown })[Symbol.for("celeriac.poolChild")] = true;
  const port = parentPort;
  const index = (workerData as { celeriacChild?: number } | null)?.celeriacChild;
  if (port && index) {
    const child = new PoolChild(index, (message) => port.postMessage(message));
    port.on("message", (message: FromPool) => child.receive(message));
    return;
  }
  if (!process.send) throw new Error("this program is run by the pools of a worker only");
  const child = new PoolChild(
    Number(process.env.CELERIAC_CHILD),
    (message) => void process.send?.(message, undefined, undefined, () => undefined),
  );
  process.on("message", (message: FromPool) => child.receive(message));
  // A terminal's Ctrl+C goes to all of its processes: the worker says what is to end.
  process.on("SIGINT", () => undefined);
  // Nobody would take the result.
  process.on("disconnect", () => process.exit(1));
  new Worker(WATCH, { eval: true, workerData: process.ppid, stdout: false }).unref();
}

/**
 * Ends the process when its worker is gone, also in the middle of a task that blocks: its message is given to another
 * worker. Celery's children have the kernel do it (`prctl`).
 */
const WATCH = `
const { workerData: parent } = require("node:worker_threads");
setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, "SIGKILL"); }, 500);
`;

serve();
