import type { Job, Pool } from "./pool.ts";

/** Runs tasks side by side in this process: for what waits (network, disks), which is most of what Node does. */
export class AsyncPool implements Pool {
  #limit: number;
  #active = 0;
  readonly #waiting: Job[] = [];
  #head = 0;
  #onIdle: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get limit(): number {
    return this.#limit;
  }

  get active(): number {
    return this.#active;
  }

  apply(job: Job): void {
    if (this.#active < this.#limit) this.#run(job);
    else this.#waiting.push(job);
  }

  resize(limit: number): void {
    this.#limit = Math.max(1, limit);
    this.#fill();
  }

  async idle(): Promise<void> {
    if (this.#active === 0 && this.#head === this.#waiting.length) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  drain(): Job[] {
    const left = this.#waiting.splice(0).slice(this.#head);
    this.#head = 0;
    this.#settle();
    return left;
  }

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
    while (this.#active < this.#limit && this.#head < this.#waiting.length) {
      const job = this.#waiting[this.#head++] as Job;
      // The head moves on instead of the array: shifting a long one costs its length each time.
      if (this.#head > 1000 && this.#head * 2 > this.#waiting.length) {
        this.#waiting.splice(0, this.#head);
        this.#head = 0;
      }
      this.#run(job);
    }
  }

  #settle(): void {
    if (this.#active > 0 || this.#head < this.#waiting.length) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}
