import type { Job } from "./pool.ts";

/** Jobs that wait for a slot, in the order in which they came. */
export class JobQueue {
  readonly #jobs: Job[] = [];
  #head = 0;

  get size(): number {
    return this.#jobs.length - this.#head;
  }

  push(job: Job): void {
    this.#jobs.push(job);
  }

  shift(): Job | undefined {
    if (this.size === 0) return undefined;
    const job = this.#jobs[this.#head++];
    // The head moves on instead of the array: shifting a long one costs its length each time.
    if (this.#head > 1000 && this.#head * 2 > this.#jobs.length) {
      this.#jobs.splice(0, this.#head);
      this.#head = 0;
    }
    return job;
  }

  /** Takes all of them. */
  drain(): Job[] {
    const left = this.#jobs.splice(0).slice(this.#head);
    this.#head = 0;
    return left;
  }
}
