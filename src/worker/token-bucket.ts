/** Lets so many through a second, one at a time. Mirrors `kombu/utils/limits.py TokenBucket` with a capacity of 1. */
export class TokenBucket {
  #perSecond: number;
  #tokens = 1;
  #filledAt: number;

  /** @param now milliseconds of a clock that never goes back */
  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    this.#filledAt = now;
  }

  /** Changes the rate; what has filled up so far is kept. */
  setRate(perSecond: number, now: number): void {
    this.#fill(now);
    this.#perSecond = perSecond;
  }

  /** Takes a token, if there is one. */
  take(now: number): boolean {
    this.#fill(now);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Milliseconds until there is a token. */
  wait(now: number): number {
    this.#fill(now);
    return Math.ceil((Math.max(0, 1 - this.#tokens) / this.#perSecond) * 1000);
  }

  #fill(now: number): void {
    this.#tokens = Math.min(1, this.#tokens + (this.#perSecond * (now - this.#filledAt)) / 1000);
    this.#filledAt = now;
  }
}
