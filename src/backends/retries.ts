import { ImproperlyConfigured, OperationalError } from "../app/errors.ts";
import type { Logger } from "../logger.ts";

/** How a call is made again while the backend is away: kombu's `retry_over_time`. Seconds. */
export interface StorePolicy {
  /** null for ever. */
  readonly max_retries: number | null;
  readonly interval_start: number;
  readonly interval_step: number;
  readonly interval_max: number;
}

/** The `result_backend_…retries` settings: how every call is made again, with `result_backend_always_retry`. */
export interface AlwaysRetry {
  /** null for ever. */
  readonly maxRetries: number | null;
  readonly baseSleepMs: number;
  readonly maxSleepMs: number;
}

/** Mirrors `celery/backends/base.py Backend.retry_policy`. */
const DEFAULT: StorePolicy = { max_retries: 20, interval_start: 0, interval_step: 1, interval_max: 1 };

/**
 * `retry_policy` of `resultBackendTransportOptions`, upon Celery's own.
 * @throws ImproperlyConfigured when it holds something else than numbers
 */
export function storePolicy(given: unknown): StorePolicy {
  const policy = { ...DEFAULT, ...(given as object | undefined) };
  for (const name of Object.keys(DEFAULT) as (keyof StorePolicy)[]) {
    const value = policy[name];
    if ((typeof value === "number" && value >= 0) || (name === "max_retries" && value === null)) continue;
    throw new ImproperlyConfigured(
      `resultBackendTransportOptions.retry_policy.${name} has to be a number from 0 up, got ${JSON.stringify(value)}`,
    );
  }
  return policy;
}

/** The pause before a retry, in milliseconds. @param retry 1 for the first */
export function policyPause(policy: StorePolicy, retry: number): number {
  return Math.min(policy.interval_start + policy.interval_step * (retry - 1), policy.interval_max) * 1000;
}

/**
 * The pause before a retry, in milliseconds, drawn from what is allowed.
 * Mirrors `celery/utils/time.py get_exponential_backoff_interval`.
 *
 * @param retry 1 for the first
 * @param random from 0 up to 1
 */
export function backoffPause({ baseSleepMs, maxSleepMs }: AlwaysRetry, retry: number, random: number): number {
  return Math.floor(Math.min(maxSleepMs, baseSleepMs * 2 ** retry) * random);
}

/** Makes calls again that failed because the backend was away; until it is closed. */
export class Retries {
  readonly #policy: StorePolicy;
  readonly #always: AlwaysRetry | null;
  readonly #log: Logger;
  readonly #closing = new AbortController();

  constructor(policy: StorePolicy, always: AlwaysRetry | null, log: Logger) {
    this.#policy = policy;
    this.#always = always;
    this.#log = log;
  }

  /** A call that stores: by the policy. @throws what the call throws in the end */
  storing<T>(what: string, call: () => Promise<T>): Promise<T> {
    const { max_retries } = this.#policy;
    const byPolicy = (): Promise<T> =>
      this.#again(what, call, max_retries, (retry) => policyPause(this.#policy, retry));
    return this.any(what, byPolicy);
  }

  /** Any other call: once more only with `result_backend_always_retry`. @throws what the call throws in the end */
  any<T>(what: string, call: () => Promise<T>): Promise<T> {
    const always = this.#always;
    if (!always) return call();
    return this.#again(what, call, always.maxRetries, (retry) => backoffPause(always, retry, Math.random()));
  }

  /** Ends all pauses: what waits to be made again throws what it threw last. */
  close(): void {
    this.#closing.abort();
  }

  async #again<T>(
    what: string,
    call: () => Promise<T>,
    limit: number | null,
    pauseMs: (retry: number) => number,
  ): Promise<T> {
    for (let retry = 1; ; retry++) {
      try {
        return await call();
      } catch (error) {
        const over = limit !== null && retry > limit;
        if (!(error instanceof OperationalError) || over || this.#closing.signal.aborted) throw error;
        this.#log.error({ err: error }, `Could not ${what}, trying again: ${error.message}`);
        await this.#pause(pauseMs(retry));
        if (this.#closing.signal.aborted) throw error;
      }
    }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#closing;
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener("abort", end);
    });
  }
}
