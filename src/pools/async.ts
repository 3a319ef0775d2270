import { JobQueue } from "./job-queue.ts";
import type { Job, Pool } from "./pool.ts";

/** Runs tasks side by side in this process: for what waits (network, disks), which is most of what Node does. */
export class AsyncPool implements Pool {
  readonly name: string;
  readonly pids = [process.pid];
  readonly #most: number;
  #limit: number;
  #active = 0;
  readonly #waiting = new JobQueue();
  #onIdle: (() => void)[] = [];

  /** @param most what the limit can be raised to: 1 for the pool `solo`, in which no task runs beside another */
  constructor(limit: number, name = "async", most = Number.POSITIVE_INFINITY) {
    this.name = name;
    this.#most = most;
    this.#limit = Math.min(limit, most);
  }

  get limit(): number {
    return this.#limit;
  }

  get active(): number {
    return this.#active;
  }

  async start(): Promise<void> {}

  apply(job: Job): void {
    if (this.#active < this.#limit) this.#run(job);
    else this.#waiting.push(job);
  }

  resize(limit: number): void {
    this.#limit = Math.min(this.#most, Math.max(0, limit));
    this.#fill();
  }

  restart(): void {}

  async idle(): Promise<void> {
    if (this.#active === 0 && this.#waiting.size === 0) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  drain(): Job[] {
    const left = this.#waiting.drain();
    this.#settle();
    return left;
  }

  async terminate(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.idle();
  }

  #run(job: Job): void {
    this.#active++;
    void job.run().finally(() => {
      this.#active--;
      this.#fill();
      this.#settle();
    });
  }

  #fill(): void {
    while (this.#active < this.#limit) {
      const job = this.#waiting.shift();
      if (!job) return;
      this.#run(job);
    }
  }

  #settle(): void {
    if (this.#active > 0 || this.#waiting.size > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}
