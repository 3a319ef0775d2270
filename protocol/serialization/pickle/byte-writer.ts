import { OP } from "./opcodes.ts";

/** Puts a pickle together. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  /** What was written so far: a view, not a copy. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  byte(value: number): void {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
  }

  uint16(value: number): void {
    const at = this.#room(2);
    this.#view.setUint16(at, value, true);
  }

  int32(value: number): void {
    const at = this.#room(4);
    this.#view.setInt32(at, value, true);
  }

  float64(value: number): void {
    const at = this.#room(8);
    this.#view.setFloat64(at, value, false);
  }

  bytes(value: Uint8Array): void {
    const at = this.#room(value.length);
    this.#bytes.set(value, at);
  }

  /** Bytes with their length before them, by the shortest of three opcodes; of two where the first is the second. */
  sized(value: Uint8Array, short: number, long: number, longest: number): void {
    const { length } = value;
    if (length < 0x100 && short !== long) {
      this.byte(short);
      this.byte(length);
    } else if (length < 0x1_0000_0000) {
      this.byte(long);
      this.int32(length | 0);
    } else {
      this.byte(longest);
      this.int32(length | 0);
      this.int32(Math.floor(length / 2 ** 32));
    }
    this.bytes(value);
  }

  /** Steps that carry nothing else. */
  steps(...names: (keyof typeof OP)[]): void {
    for (const name of names) this.byte(OP[name]);
  }

  /** Where to put so many bytes. Called before the view is looked at, which it may replace. */
  #room(length: number): number {
    const at = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#at, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}
