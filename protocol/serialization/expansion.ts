import { DecodeError } from "../errors.ts";

/** Containers within containers: deeper ones would exhaust the stack of whoever walks the value. */
const MAX_DEPTH = 500;

/** Values that any content may come to, shared ones counted wherever they are. */
const FREE_VALUES = 1_000_000;

/**
 * Keeps count of a value whose parts may be shared, as pickle's memo and YAML's aliases allow: a few hundred bytes can
 * stand for a value of billions of parts, which is small until somebody walks it. Longer content may hold more.
 */
export class Expansion {
  readonly #limit: number;
  readonly #seen = new Map<object, { value: unknown; count: number } | null>();
  #count = 0;
  #depth = 0;

  /** @param size bytes or characters of the content; an honest value has no more parts than that */
  constructor(size: number) {
    this.#limit = Math.max(FREE_VALUES, size);
  }

  /** Counts a value that has no parts. @throws DecodeError when the whole has too many */
  leaf(): void {
    this.#add(1);
  }

  /**
   * What a container becomes: made once, however often it is there.
   * @param make makes it, parts and all
   * @throws DecodeError when it holds itself, is nested too deeply, or the whole has too many parts
   */
  container(node: object, make: () => unknown): unknown {
    const known = this.#seen.get(node);
    if (known === null) throw new DecodeError("the value holds itself");
    if (known) {
      this.#add(known.count);
      return known.value;
    }
    if (this.#depth >= MAX_DEPTH) throw new DecodeError("the value is nested too deeply");
    this.#depth++;
    this.#seen.set(node, null);
    const before = this.#count;
    this.#add(1);
    const value = make();
    this.#depth--;
    this.#seen.set(node, { value, count: this.#count - before });
    return value;
  }

  #add(count: number): void {
    this.#count += count;
    if (this.#count > this.#limit) throw new DecodeError(`the value has more than ${this.#limit} parts`);
  }
}
