/** Before the first block: `BZh`, and a digit that says how large the blocks are, in units of 100 000 bytes. */
export const STREAM_MAGIC = [0x42, 0x5a, 0x68] as const;

/** Before each block, and after the last: 48 bits, in two halves. */
export const BLOCK_MAGIC = [0x314159, 0x265359] as const;
export const END_MAGIC = [0x177245, 0x385090] as const;

/** Bytes in a block, for each of the levels 1 to 9, before its runs are spelled out. */
export const BLOCK_UNIT = 100_000;

/** Symbols that share one Huffman table. */
export const GROUP_SIZE = 50;

/** Symbols that spell the length of a run of zeros in base 2. */
export const RUN_A = 0;
export const RUN_B = 1;

/** A byte that came four times in a row is followed by how often it comes again, at most so often. */
export const RUN_START = 4;
export const RUN_MORE = 255;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte << 24;
  for (let bit = 0; bit < 8; bit++)
    remainder = remainder & 0x8000_0000 ? (remainder << 1) ^ 0x04c1_1db7 : remainder << 1;
  return remainder;
});

/** bzip2's checksum of a block: CRC-32 with the highest bit first. */
export function blockChecksum(bytes: Uint8Array): number {
  let checksum = 0xffff_ffff;
  for (let at = 0; at < bytes.length; at++) {
    checksum = (checksum << 8) ^ (TABLE[((checksum >>> 24) ^ (bytes[at] as number)) & 0xff] as number);
  }
  return ~checksum >>> 0;
}

/** The checksum of the blocks before, with one more. */
export function combinedChecksum(before: number, block: number): number {
  return (((before << 1) | (before >>> 31)) ^ block) >>> 0;
}
