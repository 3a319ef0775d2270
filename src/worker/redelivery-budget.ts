import type { Request } from "./request.ts";

/** How many tasks that were lost are remembered. */
const MAX_LENGTH = 10_000;

/** How often a task that is acknowledged late may be lost with the child or the worker that ran it. */
export class RedeliveryBudget {
  readonly #limit: number;
  /** How often a child of this worker's was lost, by task. */
  readonly #lost = new Map<string, number>();

  /** @param limit null for none */
  constructor(limit: number | null) {
    this.#limit = limit ?? Number.POSITIVE_INFINITY;
  }

  /** Notes that a child was lost. @returns whether the message may go back to its queue */
  allows({ id }: Pick<Request, "id">): boolean {
    const lost = (this.#lost.get(id) ?? 0) + 1;
    this.#lost.delete(id);
    if (lost > this.#limit) return false;
    this.#lost.set(id, lost);
    const [oldest] = this.#lost.keys();
    if (oldest !== undefined && this.#lost.size > MAX_LENGTH) this.#lost.delete(oldest);
    return true;
  }

  /**
   * Asks the transport, where it counts, before a task begins that was delivered before.
   * @returns how often it was lost with its worker, when that is too often
   */
  async exhausted({ delivery, definition }: Request): Promise<number | undefined> {
    if (!delivery.redelivered || !delivery.begin || !definition.acksLate) return undefined;
    if (this.#limit === Number.POSITIVE_INFINITY) return undefined;
    const begun = await delivery.begin();
    return begun >= this.#limit ? begun : undefined;
  }
}
