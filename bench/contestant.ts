import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** What every contestant is told when it starts. */
export interface Surroundings {
  broker: string;
  /** Redis, for results. */
  backend: string;
  queue: string;
}

/** A program that does one thing when it is told to, and answers with one JSON line: `{"seconds": …}` and the like. */
export class Contestant implements AsyncDisposable {
  readonly name: string;
  readonly child: ChildProcess;
  readonly #answers: ((line: string) => void)[] = [];
  #errors = "";

  /** @param command program and arguments */
  constructor(name: string, command: readonly string[], surroundings: Surroundings, env: NodeJS.ProcessEnv = {}) {
    this.name = name;
    const [program = "", ...args] = command;
    const child = spawn(program, args, {
      stdio: "pipe",
      env: {
        ...process.env,
        ...env,
        CELERY_BROKER_URL: surroundings.broker,
        CELERY_RESULT_BACKEND: surroundings.backend,
        CELERIAC_TASK_QUEUE: surroundings.queue,
        PYTHONDONTWRITEBYTECODE: "1",
        C_FORCE_ROOT: "1",
        NODE_ENV: "production",
      },
    });
    this.child = child;
    child.stderr.on("data", (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString()).slice(-4_000);
    });
    createInterface(child.stdout).on("line", (line) => {
      if (line.startsWith("{")) this.#answers.shift()?.(line);
    });
    child.on("exit", (code, signal) => {
      if (this.#answers.length > 0) throw new Error(`${name} ended (${code ?? signal}):\n${this.#errors}`);
    });
  }

  /** Tells it a line, and waits for its answer. */
  async tell<T>(...words: readonly (string | number)[]): Promise<T> {
    const answer = new Promise<string>((resolve) => this.#answers.push(resolve));
    this.child.stdin?.write(`${words.join(" ")}\n`);
    return JSON.parse(await answer) as T;
  }

  /** Ends it and waits. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, "exit");
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 5_000);
    await gone;
    clearTimeout(timer);
  }
}

/** The other side of {@link Contestant}: answers each line that comes with what the named deed returns. */
export function answerLines(deeds: Record<string, (...words: string[]) => Promise<object>>): void {
  createInterface(process.stdin).on("line", async (line) => {
    const [name = "", ...words] = line.split(" ");
    const answer = await deeds[name]?.(...words);
    process.stdout.write(`${JSON.stringify(answer ?? {})}\n`);
  });
}

/** Runs something `count` times, a hundred of them at a time. @returns how long all took, in seconds */
export async function hundredInFlight(count: number, deed: (n: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await deed(next++);
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: 100 }, lane));
  return (performance.now() - start) / 1000;
}

/** Runs something `count` times, one after the other. @returns how long each took, in milliseconds */
export async function oneByOne(count: number, deed: (n: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < count; n++) {
    const start = performance.now();
    await deed(n);
    times.push(performance.now() - start);
  }
  return times;
}
