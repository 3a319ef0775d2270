/** A Lamport clock: what orders the events of a cluster. Mirrors `kombu/clocks.py LamportClock`. */
export class LamportClock {
  #value = 0;

  get value(): number {
    return this.#value;
  }

  /** Takes note of another node's time, and moves past it. */
  adjust(other: number): number {
    this.#value = Math.max(this.#value, other) + 1;
    return this.#value;
  }

  /** Moves on by one. */
  forward(): number {
    this.#value += 1;
    return this.#value;
  }
}
