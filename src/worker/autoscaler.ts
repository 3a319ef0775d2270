import type { Logger } from "../logger.ts";
import type { Pool } from "../pools/pool.ts";
import type { WorkerState } from "./state.ts";

/** Milliseconds without a new task after which the pool shrinks, unless `AUTOSCALE_KEEPALIVE` says otherwise. */
const KEEPALIVE_MS = 30_000;

/** The sizes that a pool is kept between. */
export interface AutoscaleRange {
  max: number;
  min: number;
}

/** What an autoscaler is made with. */
export interface AutoscalerOptions {
  range: AutoscaleRange;
  pool: Pool;
  state: WorkerState;
  log: Logger;
  /** Called when the largest size is another. */
  onRange(): void;
  /** Milliseconds. */
  keepalive?: number;
}

/**
 * Makes the pool as large as the tasks in hand ask for, and smaller again when none came for a while.
 * Mirrors `celery/worker/autoscale.py Autoscaler`.
 */
export class Autoscaler {
  readonly #options: AutoscalerOptions;
  readonly #keepalive: number;
  #range: AutoscaleRange;
  #busyAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AutoscalerOptions) {
    this.#options = options;
    this.#range = options.range;
    this.#keepalive = options.keepalive ?? KEEPALIVE_MS;
  }

  get max(): number {
    return this.#range.max;
  }

  start(): void {
    this.#timer = setInterval(() => this.scale(), this.#keepalive);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** A task came. */
  onReceived(): void {
    this.#busyAt = performance.now();
    this.scale();
  }

  /** Brings the pool to the size that is wanted now. */
  scale(): void {
    const { pool, state, log } = this.#options;
    const wanted = state.reserved.size;
    const more = Math.min(wanted, this.#range.max) - pool.limit;
    const less = pool.limit - Math.max(wanted, this.#range.min);
    if (more > 0) {
      log.info({}, `Scaling up ${more} processes.`);
      this.#busyAt = performance.now();
      pool.resize(pool.limit + more);
    } else if (less > 0 && this.#busyAt !== undefined && performance.now() - this.#busyAt >= this.#keepalive) {
      log.info({}, `Scaling down ${less} processes.`);
      pool.resize(pool.limit - less);
    }
  }

  /** Changes either bound, or both. @returns both */
  update(max: number | null, min: number | null): AutoscaleRange {
    const { pool, onRange } = this.#options;
    this.#range = { max: max ?? this.#range.max, min: min ?? this.#range.min };
    if (max !== null && pool.limit > max) pool.resize(max);
    if (min !== null && pool.limit < min) pool.resize(min);
    onRange();
    return this.#range;
  }

  /** As `inspect stats` shows it. */
  info(): { max: number; min: number; current: number; qty: number } {
    return { ...this.#range, current: this.#options.pool.limit, qty: this.#options.state.reserved.size };
  }
}

/** How long a pool may be larger than it has to be, in milliseconds. Mirrors `AUTOSCALE_KEEPALIVE`, which is seconds. */
export function keepaliveOf({ AUTOSCALE_KEEPALIVE }: NodeJS.ProcessEnv): number {
  const seconds = Number(AUTOSCALE_KEEPALIVE);
  return seconds > 0 ? seconds * 1000 : KEEPALIVE_MS;
}
