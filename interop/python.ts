import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ServerProcess } from "../test/servers/server.ts";
import { eventually } from "../test/support/eventually.ts";

const FOLDER = join(import.meta.dirname, "python");

/** Where a Python side finds its broker and its results, and how it differs from Celery's defaults. */
export interface PythonSide {
  /** The interpreter, of an environment that `interop/python/make-venv` made. */
  python: string;
  broker: string;
  backend: string;
  /** The queue that its tasks live in. */
  queue: string;
  /** Celery's settings, in their Python names. */
  settings?: Record<string, unknown>;
  /** The module of its application, `app`, unless it is `tasks`; with the folder that it lies in. */
  app?: { module: string; folder: string };
  /** More of the environment. */
  env?: Record<string, string>;
}

/** What the Python side is told. */
export function environment(side: PythonSide): NodeJS.ProcessEnv {
  const { broker, backend, queue, settings, app, env } = side;
  return {
    ...process.env,
    ...env,
    CELERY_BROKER_URL: broker,
    CELERY_RESULT_BACKEND: backend,
    CELERIAC_TASK_QUEUE: queue,
    CELERIAC_SETTINGS: JSON.stringify(settings ?? {}),
    CELERIAC_APP: appModule(side),
    PYTHONPATH: app ? `${app.folder}:${FOLDER}` : FOLDER,
    PYTHONUNBUFFERED: "1",
    PYTHONDONTWRITEBYTECODE: "1",
    C_FORCE_ROOT: "1",
  };
}

function appModule({ app }: PythonSide): string {
  return app?.module ?? "tasks";
}

/** What Python raised. */
export class PythonError extends Error {
  readonly type: string;
  readonly module: string;
  readonly args: string[];
  /** What `str()` said of it. */
  readonly text: string;
  constructor(error: { type: string; module: string; text: string; args: string[]; traceback: string }) {
    super(`${error.type}: ${error.text}\n${error.traceback}`);
    this.type = error.type;
    this.module = error.module;
    this.args = error.args;
    this.text = error.text;
  }
}

/** A Python process that runs what it is told, with `app` (of `python/tasks.py`), `chain`, `group`… in scope. */
export class PythonClient implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #next = 1;
  #output = "";

  constructor(side: PythonSide) {
    const child = spawn(side.python, [join(FOLDER, "client.py")], { env: environment(side), stdio: "pipe" });
    this.#child = child;
    child.stderr.on("data", (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-5_000);
    });
    createInterface(child.stdout).on("line", (line) => this.#onLine(line));
    child.on("exit", () => {
      for (const { reject } of this.#asked.values()) reject(new Error(`Python ended:\n${this.#output}`));
      this.#asked.clear();
    });
    const kill = (): void => void child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("exit", () => process.removeListener("exit", kill));
  }

  /**
   * Runs an expression, or statements that set `result`, and gives the value as JSON carries it.
   * @throws PythonError with what was raised
   */
  run<T = unknown>(code: string): Promise<T> {
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#asked.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#child.stdin?.write(`${JSON.stringify({ id, code })}\n`);
    });
  }

  #onLine(line: string): void {
    const answer = JSON.parse(line);
    const asked = this.#asked.get(answer.id);
    this.#asked.delete(answer.id);
    if (answer.error) asked?.reject(new PythonError(answer.error));
    else asked?.resolve(answer.value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }
}

/** A Python Celery worker. */
export class PythonWorker implements AsyncDisposable {
  readonly #process: ServerProcess;
  readonly #side: PythonSide;

  private constructor(side: PythonSide, args: readonly string[]) {
    this.#side = side;
    this.#process = new ServerProcess(
      side.python,
      ["-m", "celery", "-A", appModule(side), "worker", "-l", "INFO", "-Q", side.queue, ...args],
      environment(side),
    );
  }

  /** Starts one, and waits until it says that it is ready. @param args more of `celery worker`'s options */
  static async start(side: PythonSide, args: readonly string[] = ["-c", "2"]): Promise<PythonWorker> {
    const worker = new PythonWorker(side, args);
    await worker.start();
    return worker;
  }

  /** Its log so far. */
  get output(): string {
    return this.#process.output;
  }

  get running(): boolean {
    return this.#process.running;
  }

  async start(): Promise<void> {
    this.#process.output = "";
    this.#process.start();
    await eventually(() => {
      if (!this.#process.running) throw new Error(`celery worker ended:\n${this.output}`);
      return this.output.includes(" ready.");
    }, 60_000);
  }

  /** Ends it as an out-of-memory killer would. */
  async kill(): Promise<void> {
    await this.#process.end("SIGKILL");
  }

  /** Runs one of Celery's own commands beside it, and gives what it printed. */
  command(...args: string[]): Promise<{ code: number | null; output: string }> {
    return runCelery(this.#side, args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.end("SIGTERM");
  }
}

/** Runs `celery -A … …` to its end. */
export async function runCelery(
  side: PythonSide,
  args: readonly string[],
): Promise<{ code: number | null; output: string }> {
  const child = spawn(side.python, ["-m", "celery", "-A", appModule(side), ...args], {
    env: environment(side),
    stdio: "pipe",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const [code] = await once(child, "close");
  return { code, output };
}
