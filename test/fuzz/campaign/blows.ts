import type { Random } from "./random.ts";

/** Numbers at which lengths and integers break. */
const EDGES = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff];
const WIDE_EDGES = [0, 1, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/**
 * Bytes with one to six things done to them: changed, put in, taken out, cut off, doubled, put in from another one.
 * @param words what the format's own readers wait for
 */
export function struck(
  original: Uint8Array,
  others: readonly Uint8Array[],
  words: readonly string[],
  random: Random,
): Uint8Array {
  let bytes = Buffer.from(original);
  // Mostly one: what is struck more often is refused at the first of them.
  for (let blows = 0; blows < 6 && (blows === 0 || random.chance(0.35)); blows++) {
    bytes = blow(bytes, others, words, random);
  }
  return bytes;
}

function blow(
  bytes: Buffer<ArrayBuffer>,
  others: readonly Uint8Array[],
  words: readonly string[],
  random: Random,
): Buffer<ArrayBuffer> {
  const at = random.below(bytes.length + 1);
  const length = 1 + random.below(random.chance(0.2) ? 64 : 4);
  switch (random.below(11)) {
    case 0:
      return patched(bytes, at, [random.below(256)]);
    case 1:
      return patched(bytes, at, [(bytes[at] ?? 0) ^ (1 << random.below(8))]);
    case 2:
      return patched(bytes, at, [random.pick(EDGES)]);
    case 3:
      return patched(bytes, at, wide(random.pick(WIDE_EDGES), random.chance(0.5)));
    case 4:
      return spliced(bytes, at, 0, Buffer.from([random.below(256)]));
    case 5:
      return spliced(bytes, at, length, Buffer.of());
    case 6:
      return random.chance(0.3) ? Buffer.from(bytes.subarray(0, at)) : spliced(bytes, at, 1, Buffer.of());
    case 7:
      return spliced(bytes, at, 0, repeated(bytes.subarray(at, at + length), random));
    case 8: {
      const other = random.pick(others);
      const from = random.below(other.length + 1);
      return spliced(bytes, at, random.chance(0.5) ? length : 0, other.subarray(from, from + 1 + random.below(64)));
    }
    default:
      return words.length === 0
        ? patched(bytes, at, [random.below(256)])
        : spliced(bytes, at, random.chance(0.3) ? length : 0, Buffer.from(random.pick(words), "latin1"));
  }
}

function repeated(piece: Uint8Array, random: Random): Uint8Array {
  const times = random.chance(0.05) ? 200 : 1 + random.below(4);
  return Buffer.concat(Array.from({ length: times }, () => piece));
}

function patched(bytes: Buffer<ArrayBuffer>, at: number, values: readonly number[]): Buffer<ArrayBuffer> {
  const copy = Buffer.from(bytes);
  for (const [n, value] of values.entries()) if (at + n < copy.length) copy[at + n] = value;
  return copy;
}

function spliced(bytes: Uint8Array, at: number, gone: number, piece: Uint8Array): Buffer<ArrayBuffer> {
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + gone)]);
}

function wide(value: number, bigEndian: boolean): number[] {
  const bytes = [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
  return bigEndian ? bytes : bytes.reverse();
}
