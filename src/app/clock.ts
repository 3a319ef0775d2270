/** Times from here on are nobody's: there has to be room left to count. */
const FARTHEST = 2 ** 52;

/** A Lamport clock: what orders the events of a cluster. Mirrors `kombu/clocks.py LamportClock`. */
export class LamportClock {
  #value = 0;

  get value(): number {
    return this.#value;
  }

  /** Takes note of another node's time, and moves past it; one that nobody can count on from is left out. */
  adjust(other: number): number {
    const isTime = Number.isSafeInteger(other) && other < FARTHEST;
    this.#value = Math.max(this.#value, isTime ? other : 0) + 1;
    return this.#value;
  }

  /** Moves on by one. */
  forward(): number {
    this.#value += 1;
    return this.#value;
  }
}
