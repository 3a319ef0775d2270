/** The last lines of what is printed, told at most so often. */
export class Progress {
  readonly last: string[] = [];
  #lines = 0;
  #telling: Promise<void> | undefined;
  #isOver = false;
  readonly #tell: (progress: { lines: number; last: string[] }) => Promise<void>;

  /** How many lines are kept, and the milliseconds between two tellings. */
  static readonly KEPT = 20;
  static readonly PAUSE_MS = 200;

  constructor(tell: (progress: { lines: number; last: string[] }) => Promise<void>) {
    this.#tell = tell;
  }

  add(line: string): void {
    this.#lines += 1;
    this.last.push(line);
    if (this.last.length > Progress.KEPT) this.last.shift();
    this.#telling ??= this.#tellSoon();
  }

  /** Tells nothing more: what comes after the end is said by the end. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#telling;
  }

  async #tellSoon(): Promise<void> {
    for (let told = 0; told < this.#lines; ) {
      await new Promise((resolve) => setTimeout(resolve, Progress.PAUSE_MS));
      if (this.#isOver) break;
      told = this.#lines;
      // Whoever cannot be told now may be told more later.
      await this.#tell({ lines: told, last: [...this.last] }).catch(() => undefined);
    }
    this.#telling = undefined;
  }
}
