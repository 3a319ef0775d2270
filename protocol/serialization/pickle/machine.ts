import { DecodeError } from "../../errors.ts";
import { Float, isPythonInt } from "../../python/numbers.ts";
import { ByteReader } from "./byte-reader.ts";
import { findGlobal, type Global } from "./globals.ts";

/** How a pickle is read. */
export interface Unpickling {
  /** Exception classes, `module.Name`, that are read beside those of the closed list. */
  exceptions: ReadonlySet<string>;
  /** Keeps `1.0` apart from `1`: see `Serializer.decodeForward`. */
  forward: boolean;
}

/** What a pickle's steps work on: a stack, marks on it, and a memo of what was made before. Nothing is ever executed. */
export class Machine {
  readonly input: ByteReader;
  readonly #options: Unpickling;
  readonly #stack: unknown[] = [];
  /** Heights of the stack. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, unknown>();
  /** The value, once STOP was reached. */
  result: { value: unknown } | undefined;

  constructor(bytes: Uint8Array, options: Unpickling) {
    this.input = new ByteReader(bytes);
    this.#options = options;
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }

  /** @throws DecodeError when there is nothing above the last mark */
  pop(): unknown {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw new DecodeError("unpickling stack underflow");
    return this.#stack.pop();
  }

  pushFloat(value: number): void {
    this.push(this.#options.forward && isPythonInt(value) ? new Float(value) : value);
  }

  /** The value on top, which stays there. @throws DecodeError as {@link pop} */
  get top(): unknown {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw new DecodeError("unpickling stack underflow");
    return this.#stack.at(-1);
  }

  /** The value on top is all that the pickle is. */
  stop(): void {
    this.result = { value: this.pop() };
  }

  mark(): void {
    this.#marks.push(this.#stack.length);
  }

  /** All above the last mark, which goes too. @throws DecodeError when there is no mark */
  popMark(): unknown[] {
    const height = this.#marks.pop();
    if (height === undefined) throw new DecodeError("could not find MARK");
    return this.#stack.splice(height);
  }

  /** POP takes a mark where one is on top. */
  discard(): void {
    if (this.#marks.at(-1) === this.#stack.length) this.#marks.pop();
    else this.pop();
  }

  /** @param index where to keep the value on top; behind all others when left out */
  memoize(index = this.#memo.size): void {
    this.#memo.set(index, this.top);
  }

  /** @throws DecodeError for an index that nothing was kept at */
  recall(index: number): unknown {
    if (!this.#memo.has(index)) throw new DecodeError(`memo value not found at index ${index}`);
    return this.#memo.get(index);
  }

  /** @throws DecodeError naming what is not among the globals that are read */
  global(module: unknown, name: unknown): Global {
    if (typeof module !== "string" || typeof name !== "string") {
      throw new DecodeError("a pickle names a global by what is no text");
    }
    return findGlobal(module, name, this.#options.exceptions);
  }
}
