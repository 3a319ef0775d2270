import type { Revocation } from "../../protocol/control/replies.ts";

/** How many revoked tasks are remembered, and for how many seconds at least: what the environment may change. */
export interface RevokedLimits {
  /** `CELERY_WORKER_REVOKES_MAX` */
  maxLength: number;
  /** Seconds; `CELERY_WORKER_REVOKE_EXPIRES` */
  expires: number;
}

/**
 * The limits that the environment asks for, or Celery's. Mirrors `celery/worker/state.py`.
 * @throws RangeError when a variable is no number
 */
export function revokedLimits(environment: Readonly<Record<string, string | undefined>>): RevokedLimits {
  return {
    maxLength: number(environment, "CELERY_WORKER_REVOKES_MAX", 50_000),
    expires: number(environment, "CELERY_WORKER_REVOKE_EXPIRES", 10_800),
  };
}

function number(environment: Readonly<Record<string, string | undefined>>, name: string, standard: number): number {
  const text = environment[name];
  if (text === undefined || text === "") return standard;
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new RangeError(`Invalid value for ${name}: expected a number, got '${text}'`);
}

/** The ids of revoked tasks, the oldest first; they are forgotten when they are old or too many. */
export class RevokedTasks {
  readonly #byId = new Map<string, number>();
  readonly #maxLength: number;
  readonly #expires: number;

  constructor({ maxLength, expires }: RevokedLimits = revokedLimits({})) {
    this.#maxLength = maxLength;
    this.#expires = expires;
  }

  /** @param now milliseconds since the epoch */
  add(id: string, now = Date.now()): void {
    this.#byId.delete(id);
    this.#byId.set(id, now);
    if (this.#byId.size > this.#maxLength) this.purge(now);
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  ids(): string[] {
    return [...this.#byId.keys()];
  }

  /** The ids with the moments when they were added, by another clock. @param clock what that shows at `now`, seconds */
  revocations(clock: number, now = Date.now()): Revocation[] {
    return Array.from(this.#byId, ([id, added]) => [id, clock - (now - added) / 1000] as const);
  }

  /** Forgets what is too old, or too much. */
  purge(now = Date.now()): void {
    for (const [id, added] of this.#byId) {
      if (this.#byId.size <= this.#maxLength && now - added < this.#expires * 1000) return;
      this.#byId.delete(id);
    }
  }
}

/** One id, a list of them, or older workers' mapping of ids to times. */
export function idList(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return [...new Set(value.filter((id): id is string => typeof id === "string"))];
  return typeof value === "object" && value !== null ? Object.keys(value) : [];
}

/** One stamp, or a list of them. */
export function stampList(value: unknown): unknown[] {
  if (value === null || value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

/** The stamps of a task, one or a list, that are among the revoked ones. */
export function matchingStamps(own: unknown, revoked: readonly unknown[]): unknown[] {
  return stampList(own).filter((stamp) => revoked.includes(stamp));
}
