import type { JobChild, JobEnd } from "../pool.ts";
import type { Child, FromChild } from "./child.ts";

/** Work that a child does. */
interface Work {
  readonly job: number;
  onCall: (call: unknown) => Promise<unknown>;
  resolve(end: JobEnd): void;
}

/** Milliseconds that a child which was told to end has for it, before it is killed. */
const EXIT_MS = 10_000;

/** A place in a pool with the child in it, from its start to its end. */
export class Seat {
  readonly index: number;
  readonly #child: Child;
  #work: Work | undefined;
  #killed = false;
  #gone = false;
  #ready = false;
  #leaving: NodeJS.Timeout | undefined;
  /** A job has this seat; the child may be done with it already, and its result not stored. */
  taken = false;
  /** How many jobs the child did. */
  jobs = 0;
  /** KiB that the child took up after its last job. */
  memory = 0;

  constructor(index: number, child: Child) {
    this.index = index;
    this.#child = child;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** True when the child has loaded what it works with. */
  get ready(): boolean {
    return this.#ready;
  }

  /** True when a job may have this seat. */
  get free(): boolean {
    return this.#ready && !this.taken && !this.#killed && !this.#gone && !this.#leaving;
  }

  /** What the next job may do with the child. @param job the job's number */
  childOf(job: number): JobChild {
    this.taken = true;
    this.jobs++;
    return {
      pid: this.pid,
      run: (work, onCall) => this.#run(job, work, onCall),
      tell: (message) => {
        if (this.#work?.job === job) this.#child.send({ type: "tell", job, message });
      },
      kill: (signal) => {
        if (this.#work?.job !== job) return;
        this.#killed = true;
        this.#child.kill(signal);
      },
    };
  }

  onMessage(message: FromChild): void {
    if (message.type === "ready") this.#ready = true;
    else if (message.type === "call") void this.#answer(message);
    else if (message.type === "done" && this.#work?.job === message.job) {
      this.memory = message.memory;
      this.#end({ kind: "done", result: message.result });
      // A signal that the child outlived must not reach the next job.
      if (this.#killed) this.#child.kill("SIGKILL");
    }
  }

  onExit(status: string): void {
    this.#gone = true;
    clearTimeout(this.#leaving);
    if (this.#work) this.#end({ kind: "lost", status, job: this.#work.job });
  }

  /** Has the child end by itself, and sees that it does. */
  leave(): void {
    if (this.#leaving || this.#gone) return;
    this.#child.send({ type: "exit" });
    this.#leaving = setTimeout(() => this.#child.kill("SIGKILL"), EXIT_MS);
  }

  kill(signal: NodeJS.Signals): void {
    this.#killed = true;
    this.#child.kill(signal);
  }

  #run(job: number, work: unknown, onCall: Work["onCall"]): Promise<JobEnd> {
    return new Promise((resolve) => {
      this.#work = { job, onCall, resolve };
      if (this.#gone) this.#end({ kind: "lost", status: "exitcode 0", job });
      else this.#child.send({ type: "run", job, work });
    });
  }

  #end(end: JobEnd): void {
    const work = this.#work;
    this.#work = undefined;
    work?.resolve(end);
  }

  async #answer({ job, call, ask }: Extract<FromChild, { type: "call" }>): Promise<void> {
    let error: string | null = null;
    let value: unknown;
    try {
      if (this.#work?.job !== job) throw new Error("the task is over");
      value = await this.#work.onCall(ask);
    } catch (thrown) {
      error = (thrown as Error).message;
    }
    if (!this.#gone) this.#child.send({ type: "answer", call, error, value });
  }
}
