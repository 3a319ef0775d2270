import {
  BLOCK_MAGIC,
  BLOCK_UNIT,
  blockChecksum,
  combinedChecksum,
  END_MAGIC,
  GROUP_SIZE,
  RUN_A,
  RUN_MORE,
  RUN_START,
  STREAM_MAGIC,
} from "./bzip2-format.ts";
import { codeLengths, codesOf } from "./bzip2-huffman.ts";
import { sortedRotations } from "./bzip2-sort.ts";

/** Blocks of 900 000 bytes, as Python's `bz2.compress` makes them unless told otherwise. */
const LEVEL = 9;

/** What libbz2 keeps free at the end of a block. */
const MARGIN = 19;

/**
 * Compresses as bzip2 does, block by block, so that whoever asks can do something else in between. One Huffman table
 * serves a whole block where libbz2 tries six, which costs up to a tenth in size. Mirrors Python's `bz2.compress`.
 *
 * @yields after each block
 * @returns the stream
 */
export function* bzip2Compress(bytes: Uint8Array): Generator<void, Uint8Array> {
  const out = new BitWriter();
  for (const byte of STREAM_MAGIC) out.bits(8, byte);
  out.bits(8, 0x30 + LEVEL);
  let checksum = 0;
  for (let from = 0; from < bytes.length; ) {
    const { text, end } = shortened(bytes, from, LEVEL * BLOCK_UNIT - MARGIN);
    const own = blockChecksum(bytes.subarray(from, end));
    writeBlock(out, text, own);
    checksum = combinedChecksum(checksum, own);
    from = end;
    yield;
  }
  for (const half of END_MAGIC) out.bits(24, half);
  out.uint32(checksum);
  return out.finish();
}

/** Writes bits, the highest of each byte first. */
class BitWriter {
  #bytes = new Uint8Array(1024);
  #at = 0;
  #held = 0;
  #count = 0;

  /** @param count 1 to 24 */
  bits(count: number, value: number): void {
    this.#held = (this.#held << count) | value;
    this.#count += count;
    while (this.#count >= 8) {
      this.#count -= 8;
      this.#byte(this.#held >>> this.#count);
    }
    this.#held &= (1 << this.#count) - 1;
  }

  uint32(value: number): void {
    this.bits(16, value >>> 16);
    this.bits(16, value & 0xffff);
  }

  finish(): Uint8Array {
    if (this.#count > 0) this.bits(8 - this.#count, 0);
    return this.#bytes.subarray(0, this.#at);
  }

  #byte(value: number): void {
    if (this.#at === this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes[this.#at++] = value;
  }
}

/** As much as fits into a block, runs of four and more in short. @returns end where the next block begins */
function shortened(bytes: Uint8Array, from: number, size: number): { text: Uint8Array; end: number } {
  const text = new Uint8Array(Math.min(size + RUN_START + 1, Math.ceil((bytes.length - from) * 1.25) + RUN_START + 1));
  let length = 0;
  let at = from;
  while (at < bytes.length && length < size) {
    const byte = bytes[at] as number;
    let run = 1;
    while (run < RUN_START + RUN_MORE && bytes[at + run] === byte) run++;
    at += run;
    for (let left = Math.min(run, RUN_START); left > 0; left--) text[length++] = byte;
    if (run >= RUN_START) text[length++] = run - RUN_START;
  }
  return { text: text.subarray(0, length), end: at };
}

function writeBlock(out: BitWriter, text: Uint8Array, checksum: number): void {
  const { column, origin } = lastColumn(text);
  const used = Array.from({ length: 256 }, () => false);
  for (const byte of text) used[byte] = true;
  const symbols = symbolsOf(column, used);
  for (const half of BLOCK_MAGIC) out.bits(24, half);
  out.uint32(checksum);
  out.bits(1, 0);
  out.bits(24, origin);
  writeUsedBytes(out, used);
  writeSymbols(out, symbols, used.filter(Boolean).length + 2);
}

function lastColumn(text: Uint8Array): { column: Uint8Array; origin: number } {
  const order = sortedRotations(text);
  const column = new Uint8Array(text.length);
  let origin = 0;
  for (let at = 0; at < order.length; at++) {
    const start = order[at] as number;
    if (start === 0) origin = at;
    column[at] = text[start === 0 ? text.length - 1 : start - 1] as number;
  }
  return { column, origin };
}

/** Bytes by their place among those that came last, runs of the first place in base 2 of the digits 1 and 2. */
function symbolsOf(column: Uint8Array, used: readonly boolean[]): Uint16Array {
  const recent = Uint8Array.from(Array.from(used.keys()).filter((byte) => used[byte]));
  const end = recent.length + 1;
  const symbols = new Uint16Array(column.length + 1);
  let length = 0;
  let run = 0;
  const writeRun = (): void => {
    for (; run > 0; run = (run - 1) >> 1) symbols[length++] = RUN_A + ((run - 1) & 1);
  };
  for (const byte of column) {
    if (byte === recent[0]) {
      run++;
      continue;
    }
    writeRun();
    const place = recent.indexOf(byte);
    recent.copyWithin(1, 0, place);
    recent[0] = byte;
    symbols[length++] = place + 1;
  }
  writeRun();
  symbols[length++] = end;
  return symbols.subarray(0, length);
}

function writeUsedBytes(out: BitWriter, used: readonly boolean[]): void {
  const members = Array.from({ length: 16 }, (_, group) => bitmap(used.slice(group * 16, group * 16 + 16)));
  out.bits(16, bitmap(members.map((bits) => bits > 0)));
  for (const bits of members) if (bits > 0) out.bits(16, bits);
}

function bitmap(flags: readonly boolean[]): number {
  return flags.reduce((bits, flag) => (bits << 1) | Number(flag), 0);
}

function writeSymbols(out: BitWriter, symbols: Uint16Array, count: number): void {
  const frequencies = new Uint32Array(count).fill(1);
  for (const symbol of symbols) frequencies[symbol] = (frequencies[symbol] as number) + 1;
  const lengths = codeLengths(frequencies);
  const codes = codesOf(lengths);
  // There have to be two tables: the second is the first once more, and nobody uses it.
  out.bits(3, 2);
  const groups = Math.ceil(symbols.length / GROUP_SIZE);
  out.bits(15, groups);
  for (let group = 0; group < groups; group++) out.bits(1, 0);
  writeLengths(out, lengths);
  writeLengths(out, lengths);
  for (const symbol of symbols) out.bits(lengths[symbol] as number, codes[symbol] as number);
}

function writeLengths(out: BitWriter, lengths: Uint8Array): void {
  let before = lengths[0] as number;
  out.bits(5, before);
  for (const length of lengths) {
    for (; before < length; before++) out.bits(2, 0b10);
    for (; before > length; before--) out.bits(2, 0b11);
    out.bits(1, 0);
  }
}
