import { DecodeError } from "../errors.ts";

/** Reads bits, the highest of each byte first. */
export class BitReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #held = 0;
  #count = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** @param count 1 to 24 @throws DecodeError when there are not so many left */
  bits(count: number): number {
    while (this.#count < count) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined)
        throw new DecodeError("compressed data ended before the end-of-stream marker was reached");
      this.#held = ((this.#held << 8) | byte) >>> 0;
      this.#count += 8;
    }
    this.#count -= count;
    const value = this.#held >>> this.#count;
    this.#held &= (1 << this.#count) - 1;
    return value;
  }

  bit(): number {
    return this.bits(1);
  }

  uint32(): number {
    return (this.bits(16) * 0x1_0000 + this.bits(16)) >>> 0;
  }

  /** Leaves out what is left of a byte that was begun. @returns the bytes from there on */
  rest(): Uint8Array {
    this.#at -= Math.floor(this.#count / 8);
    this.#count = 0;
    this.#held = 0;
    return this.#bytes.subarray(this.#at);
  }
}
