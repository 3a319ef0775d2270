import { DecodeError } from "../errors.ts";
import type { BitReader } from "./bit-reader.ts";

/** The longest code that a stream may have, and the longest that is written. */
const MAX_LENGTH = 20;
const MAX_WRITTEN = 17;

/** Reads symbols by their codes, which are in order of length, then of symbol. */
export class HuffmanReader {
  /** For each length the first code beyond it, and where its symbols begin among all. */
  readonly #beyond = new Int32Array(MAX_LENGTH + 1);
  readonly #offset = new Int32Array(MAX_LENGTH + 1);
  readonly #symbols: Uint16Array;

  /** @param lengths of the codes, by symbol; each 1 to 20 */
  constructor(lengths: Uint8Array) {
    const order = Array.from(lengths.keys()).sort((a, b) => (lengths[a] as number) - (lengths[b] as number) || a - b);
    this.#symbols = Uint16Array.from(order);
    let code = 0;
    let at = 0;
    for (let length = 1; length <= MAX_LENGTH; length++) {
      this.#offset[length] = at - code;
      while (at < order.length && lengths[order[at] as number] === length) {
        at++;
        code++;
      }
      this.#beyond[length] = code;
      code <<= 1;
    }
  }

  /** @throws DecodeError for bits that are no code */
  read(input: BitReader): number {
    let code = 0;
    for (let length = 1; length <= MAX_LENGTH; length++) {
      code = (code << 1) | input.bit();
      if (code < (this.#beyond[length] as number)) {
        const symbol = this.#symbols[code + (this.#offset[length] as number)];
        if (symbol !== undefined) return symbol;
      }
    }
    throw new DecodeError("Invalid data stream: no such code");
  }
}

/**
 * Lengths of codes, by symbol: the shorter the more often the symbol comes, at most 17.
 * @param frequencies of which none is 0
 */
export function codeLengths(frequencies: Uint32Array): Uint8Array {
  // Flatter and flatter, until the longest is short enough.
  for (let divisor = 1; ; divisor *= 2) {
    const lengths = huffmanLengths(frequencies.map((frequency) => Math.max(1, Math.floor(frequency / divisor))));
    if (lengths.every((length) => length <= MAX_WRITTEN)) return lengths;
  }
}

/** Two queues, each in order: of single symbols, and of pairs that were made of the two rarest. */
function huffmanLengths(frequencies: Uint32Array): Uint8Array {
  const count = frequencies.length;
  const leaves = Array.from(frequencies.keys()).sort((a, b) => (frequencies[a] as number) - (frequencies[b] as number));
  const weights = leaves.map((symbol) => frequencies[symbol] as number);
  const parents = new Int32Array(2 * count);
  let leaf = 0;
  let pair = count;
  const rarest = (): number => {
    const isLeaf = leaf < count && (pair >= weights.length || (weights[leaf] as number) <= (weights[pair] as number));
    return isLeaf ? leaf++ : pair++;
  };
  while (weights.length < 2 * count - 1) {
    const [a, b] = [rarest(), rarest()];
    parents[a] = weights.length;
    parents[b] = weights.length;
    weights.push((weights[a] as number) + (weights[b] as number));
  }
  const depths = new Uint8Array(weights.length);
  for (let node = weights.length - 2; node >= 0; node--) depths[node] = (depths[parents[node] as number] as number) + 1;
  const lengths = new Uint8Array(count);
  for (let at = 0; at < count; at++) lengths[leaves[at] as number] = depths[at] as number;
  return lengths;
}

/** The codes that {@link HuffmanReader} reads. */
export function codesOf(lengths: Uint8Array): Uint32Array {
  const codes = new Uint32Array(lengths.length);
  let code = 0;
  for (let length = 1; length <= MAX_LENGTH; length++) {
    for (let symbol = 0; symbol < lengths.length; symbol++) if (lengths[symbol] === length) codes[symbol] = code++;
    code <<= 1;
  }
  return codes;
}
