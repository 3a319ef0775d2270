import { DecodeError } from "../../errors.ts";

const LINE_FEED = 0x0a;

/** Takes a pickle apart from the front; asking for more than there is throws. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    // Subclasses, such as Node's, may share memory where others copy.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Where the next byte is. */
  get position(): number {
    return this.#at;
  }

  byte(): number {
    return this.#view.getUint8(this.#skip(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#skip(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#skip(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#skip(4), true);
  }

  /** A length; one beyond 2^53 is beyond any input as well. */
  uint64(): number {
    const at = this.#skip(8);
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }

  float64(): number {
    return this.#view.getFloat64(this.#skip(8), false);
  }

  /** A view, not a copy. */
  bytes(length: number): Uint8Array {
    const at = this.#skip(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Up to the next line feed, which is taken and left out. */
  line(): Uint8Array {
    const end = this.#bytes.indexOf(LINE_FEED, this.#at);
    if (end < 0) throw new DecodeError("pickle data was truncated");
    const line = this.#bytes.subarray(this.#at, end);
    this.#at = end + 1;
    return line;
  }

  #skip(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) throw new DecodeError("pickle data was truncated");
    this.#at += length;
    return at;
  }
}
