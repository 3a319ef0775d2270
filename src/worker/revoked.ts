import type { Revocation } from "../../protocol/control/replies.ts";

/** How many revoked tasks are remembered, and for how many seconds at least. */
const MAX_LENGTH = 50_000;
const EXPIRES = 10_800;

/** The ids of revoked tasks, the oldest first; they are forgotten when they are old or too many. */
export class RevokedTasks {
  readonly #byId = new Map<string, number>();
  readonly #maxLength: number;
  readonly #expires: number;

  /** @param expires seconds */
  constructor(maxLength = MAX_LENGTH, expires = EXPIRES) {
    this.#maxLength = maxLength;
    this.#expires = expires;
  }

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
