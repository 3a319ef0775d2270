import { DecodeError, InflatedSizeExceeded } from "../errors.ts";
import { BitReader } from "./bit-reader.ts";
import {
  BLOCK_MAGIC,
  BLOCK_UNIT,
  blockChecksum,
  combinedChecksum,
  END_MAGIC,
  GROUP_SIZE,
  RUN_B,
  RUN_START,
  STREAM_MAGIC,
} from "./bzip2-format.ts";
import { HuffmanReader } from "./bzip2-huffman.ts";

/**
 * What bzip2 compressed, block by block, so that whoever reads it can stop, or do something else in between. Streams
 * behind the first are read on, anything else there is left. Mirrors Python's `bz2.decompress`.
 *
 * @param limit bytes; a block that would go beyond is not spelled out
 * @throws DecodeError when it is no bzip2, was damaged, or comes to more than `limit` bytes
 */
export function* bzip2Blocks(bytes: Uint8Array, limit = Number.POSITIVE_INFINITY): Generator<Uint8Array, void> {
  let room = limit;
  let rest = bytes;
  do {
    const input = new BitReader(rest);
    for (const text of streamBlocks(input)) {
      const length = spelledLength(text.bytes);
      if (length > room) throw new InflatedSizeExceeded(limit);
      room -= length;
      const block = spelledOut(text.bytes, length);
      if (blockChecksum(block) !== text.checksum) invalid("the checksum of a block is another");
      yield block;
    }
    rest = input.rest();
  } while (isStream(rest));
}

function isStream(bytes: Uint8Array): boolean {
  return STREAM_MAGIC.every((byte, at) => bytes[at] === byte);
}

/** The blocks of one stream, their runs still in short, and the checksum that each is to have. */
function* streamBlocks(input: BitReader): Generator<{ bytes: Uint8Array; checksum: number }, void> {
  for (const byte of STREAM_MAGIC) if (input.bits(8) !== byte) invalid("no bzip2 stream");
  const level = input.bits(8) - 0x30;
  if (level < 1 || level > 9) invalid("no bzip2 stream");
  let checksum = 0;
  for (;;) {
    const magic = [input.bits(24), input.bits(24)];
    const expected = input.uint32();
    if (magic.every((half, at) => half === END_MAGIC[at])) {
      if (checksum !== expected) invalid("the checksum of the stream is another");
      return;
    }
    if (!magic.every((half, at) => half === BLOCK_MAGIC[at])) invalid("neither a block nor the end");
    checksum = combinedChecksum(checksum, expected);
    yield { bytes: readBlock(input, level * BLOCK_UNIT), checksum: expected };
  }
}

/** One block, its runs still in short. */
function readBlock(input: BitReader, size: number): Uint8Array {
  if (input.bit()) invalid("a randomised block, which no bzip2 has written since 1997");
  const origin = input.bits(24);
  const used = readUsedBytes(input);
  const symbols = used.length + 2;
  const tableCount = input.bits(3);
  const selectors = readSelectors(input, tableCount);
  const tables = Array.from({ length: tableCount }, () => new HuffmanReader(readLengths(input, symbols)));
  const last = readSymbols(input, tables, selectors, used, size);
  if (origin >= last.length) invalid("a block without a beginning");
  return unsorted(last, origin);
}

/** Which bytes there are, by a bit for each sixteen and a bit for each. */
function readUsedBytes(input: BitReader): number[] {
  const groups = input.bits(16);
  const used: number[] = [];
  for (let group = 0; group < 16; group++) {
    if (!(groups & (0x8000 >> group))) continue;
    const members = input.bits(16);
    for (let member = 0; member < 16; member++) if (members & (0x8000 >> member)) used.push(group * 16 + member);
  }
  if (used.length === 0) invalid("a block without bytes");
  return used;
}

/** The table of each group of symbols, by its place among those used last. */
function readSelectors(input: BitReader, tableCount: number): Uint8Array {
  if (tableCount < 2 || tableCount > 6) invalid("too few or too many tables");
  const selectors = new Uint8Array(input.bits(15));
  const recent = Array.from({ length: tableCount }, (_, table) => table);
  for (let at = 0; at < selectors.length; at++) {
    let place = 0;
    while (input.bit()) if (++place >= tableCount) invalid("no such table");
    const [table] = recent.splice(place, 1) as [number];
    recent.unshift(table);
    selectors[at] = table;
  }
  return selectors;
}

/** Each length by its difference to the one before. */
function readLengths(input: BitReader, count: number): Uint8Array {
  const lengths = new Uint8Array(count);
  let length = input.bits(5);
  for (let symbol = 0; symbol < count; symbol++) {
    for (;;) {
      if (length < 1 || length > 20) invalid("a code of no length, or too long");
      if (!input.bit()) break;
      length += input.bit() ? -1 : 1;
    }
    lengths[symbol] = length;
  }
  return lengths;
}

/** The last column of the sorted rotations: bytes by their place among those that came last, zeros as runs. */
function readSymbols(
  input: BitReader,
  tables: readonly HuffmanReader[],
  selectors: Uint8Array,
  used: number[],
  size: number,
): Uint8Array {
  const column = new Uint8Array(size);
  const end = used.length + 1;
  const recent = Uint8Array.from(used);
  let length = 0;
  let run = 0;
  let weight = 1;
  for (let group = 0; ; group++) {
    const table = tables[selectors[group] ?? tables.length] ?? invalid("a block without an end");
    for (let left = GROUP_SIZE; left > 0; left--) {
      const symbol = table.read(input);
      if (symbol <= RUN_B) {
        if (weight > size) invalid("a run that is longer than a block");
        run += weight << symbol;
        weight *= 2;
        continue;
      }
      if (run > 0) {
        if (run > size - length) invalid("a block that is too long");
        column.fill(recent[0] as number, length, length + run);
        length += run;
        run = 0;
        weight = 1;
      }
      if (symbol === end) return column.subarray(0, length);
      if (length >= size) invalid("a block that is too long");
      const byte = recent[symbol - 1] as number;
      recent.copyWithin(1, 0, symbol - 1);
      recent[0] = byte;
      column[length++] = byte;
    }
  }
}

/** Undoes the sorting of rotations: from the last column to the text, from its origin on. */
function unsorted(column: Uint8Array, origin: number): Uint8Array {
  const starts = new Uint32Array(256);
  for (const byte of column) starts[byte] = (starts[byte] as number) + 1;
  let sum = 0;
  for (let byte = 0; byte < 256; byte++) {
    const count = starts[byte] as number;
    starts[byte] = sum;
    sum += count;
  }
  const next = new Uint32Array(column.length);
  for (let at = 0; at < column.length; at++) {
    const byte = column[at] as number;
    const place = starts[byte] as number;
    starts[byte] = place + 1;
    next[place] = at;
  }
  const text = new Uint8Array(column.length);
  let place = next[origin] as number;
  for (let at = 0; at < text.length; at++) {
    text[at] = column[place] as number;
    place = next[place] as number;
  }
  return text;
}

/** Four of a byte in a row are followed by how many more of it there are. */
function spelledOut(text: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let at = 0;
  let repeated = 0;
  for (let from = 0; from < text.length; from++) {
    const byte = text[from] as number;
    if (repeated === RUN_START) {
      out.fill(text[from - 1] as number, at, at + byte);
      at += byte;
      repeated = 0;
      continue;
    }
    repeated = repeated > 0 && byte === text[from - 1] ? repeated + 1 : 1;
    out[at++] = byte;
  }
  return out;
}

function spelledLength(text: Uint8Array): number {
  let length = 0;
  let repeated = 0;
  for (let from = 0; from < text.length; from++) {
    const byte = text[from] as number;
    if (repeated === RUN_START) {
      length += byte;
      repeated = 0;
      continue;
    }
    repeated = repeated > 0 && byte === text[from - 1] ? repeated + 1 : 1;
    length++;
  }
  return length;
}

function invalid(why: string): never {
  throw new DecodeError(`Invalid data stream: ${why}`);
}
