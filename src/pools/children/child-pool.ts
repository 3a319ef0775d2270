import { JobQueue } from "../job-queue.ts";
import type { Job, Pool, PoolOptions } from "../pool.ts";
import type { ChildEvents, FromChild, StartChild } from "./child.ts";
import { Seat } from "./seat.ts";

/** The longest pause before a child is started in the place of one that could not be, in milliseconds. */
const LONGEST_PAUSE_MS = 30_000;

/** Runs tasks in children, one at a time in each. Mirrors `billiard/pool.py Pool` and `celery/concurrency/prefork.py`. */
export class ChildPool implements Pool {
  readonly name: string;
  readonly #options: PoolOptions;
  readonly #startChild: StartChild;
  /** Children that serve, or will. */
  readonly #seats = new Set<Seat>();
  /** Children that have been told to end. */
  readonly #leaving = new Set<Seat>();
  readonly #waiting = new JobQueue();
  #limit: number;
  #active = 0;
  #jobs = 0;
  #closed = false;
  /** How many children in a row ended before they were ready. */
  #unfit = 0;
  #pause: NodeJS.Timeout | undefined;
  #starting: { resolve(): void; reject(error: Error): void } | undefined;
  #onIdle: (() => void)[] = [];
  #onGone: (() => void)[] = [];

  constructor(name: string, options: PoolOptions, startChild: StartChild) {
    this.name = name;
    this.#options = options;
    this.#limit = options.limit;
    this.#startChild = startChild;
  }

  get limit(): number {
    return this.#limit;
  }

  get active(): number {
    return this.#active;
  }

  get pids(): number[] {
    return [...this.#seats].map(({ pid }) => pid);
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#starting = { resolve, reject };
      this.#populate();
      this.#started();
    });
  }

  apply(job: Job): void {
    this.#waiting.push(job);
    this.#fill();
  }

  resize(limit: number): void {
    this.#limit = Math.max(0, limit);
    for (const seat of this.#seats) if (!seat.taken) this.#release(seat);
    this.#populate();
    this.#fill();
  }

  restart(): void {
    for (const seat of this.#seats) {
      seat.jobs = Number.POSITIVE_INFINITY;
      if (!seat.taken) this.#retire(seat);
    }
    this.#populate();
  }

  async idle(): Promise<void> {
    if (this.#active === 0 && this.#waiting.size === 0) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  drain(): Job[] {
    const left = this.#waiting.drain();
    this.#settle();
    return left;
  }

  async terminate(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#pause);
    for (const seat of [...this.#seats, ...this.#leaving]) seat.kill("SIGKILL");
    await this.#gone();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.idle();
    this.#closed = true;
    clearTimeout(this.#pause);
    for (const seat of this.#seats) this.#retire(seat);
    await this.#gone();
  }

  async #gone(): Promise<void> {
    if (this.#seats.size + this.#leaving.size === 0) return;
    await new Promise<void>((resolve) => this.#onGone.push(resolve));
  }

  /** Starts as many children as are missing. */
  #populate(): void {
    if (this.#closed || this.#pause) return;
    while (this.#seats.size < this.#limit) this.#add();
  }

  #add(): void {
    const events: ChildEvents = {
      onMessage: (message) => this.#onMessage(seat, message),
      onExit: (status) => this.#onExit(seat, status),
    };
    const index = this.#freeIndex();
    const child = this.#startChild(this.#options.program, index, events);
    const seat = new Seat(index, child);
    this.#seats.add(seat);
    child.send({ type: "start", data: this.#options.data });
  }

  #freeIndex(): number {
    const taken = new Set([...this.#seats].map(({ index }) => index));
    for (let index = 1; ; index++) if (!taken.has(index)) return index;
  }

  #onMessage(seat: Seat, message: FromChild): void {
    seat.onMessage(message);
    if (message.type === "ready") {
      this.#unfit = 0;
      this.#release(seat);
      this.#started();
      this.#fill();
    } else if (message.type === "unfit") {
      const error = Object.assign(new Error(message.error.message), { stack: message.error.stack });
      this.#options.log.error({ err: error }, `A child of the pool cannot work: ${error.message}`);
      this.#starting?.reject(error);
    }
  }

  #onExit(seat: Seat, status: string): void {
    const wasServing = this.#seats.delete(seat);
    this.#leaving.delete(seat);
    seat.onExit(status);
    if (wasServing && !this.#closed) this.#replace(seat, status);
    if (this.#seats.size + this.#leaving.size === 0) for (const resolve of this.#onGone.splice(0)) resolve();
  }

  /** At once, or after a growing pause where children cannot even start. */
  #replace(seat: Seat, status: string): void {
    if (seat.ready) {
      if (!seat.taken) this.#options.log.error({ pid: seat.pid }, `Process pid:${seat.pid} exited with '${status}'`);
      this.#populate();
      return;
    }
    this.#starting?.reject(new Error(`a child of the pool ended before it was ready (${status})`));
    const pause = Math.min(LONGEST_PAUSE_MS, 500 * 2 ** this.#unfit++);
    this.#options.log.error({ pid: seat.pid }, `A child of the pool ended before it was ready (${status})`);
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      this.#populate();
    }, pause);
  }

  #started(): void {
    if (!this.#starting || [...this.#seats].some(({ ready }) => !ready)) return;
    this.#starting.resolve();
    this.#starting = undefined;
  }

  #fill(): void {
    if (this.#waiting.size === 0) return;
    for (const seat of this.#seats) {
      if (!seat.free) continue;
      const job = this.#waiting.shift();
      if (!job) return;
      this.#run(seat, job);
    }
  }

  #run(seat: Seat, job: Job): void {
    this.#active++;
    void job.run(seat.childOf(this.#jobs++)).finally(() => {
      seat.taken = false;
      this.#active--;
      this.#release(seat);
      this.#fill();
      this.#settle();
    });
  }

  /** The seat has no job: it stays, or the child has served its time, or there is one too many. */
  #release(seat: Seat): void {
    if (!this.#seats.has(seat)) return;
    const { maxTasksPerChild, maxMemoryPerChild, log } = this.#options;
    const tooBig = maxMemoryPerChild !== null && seat.memory > maxMemoryPerChild;
    if (tooBig) {
      log.warn(
        { pid: seat.pid },
        `child process exiting after exceeding memory limit (${seat.memory}KiB / ${maxMemoryPerChild}KiB)`,
      );
    }
    const tooOld = seat.jobs >= (maxTasksPerChild ?? Number.MAX_SAFE_INTEGER);
    if (!tooBig && !tooOld && this.#seats.size <= this.#limit) return;
    this.#retire(seat);
    this.#populate();
  }

  #retire(seat: Seat): void {
    this.#seats.delete(seat);
    this.#leaving.add(seat);
    seat.leave();
  }

  #settle(): void {
    if (this.#active > 0 || this.#waiting.size > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}
