import { bzip2 } from "../../../../src/compression/bzip2.ts";
import { decompress } from "../../../../src/compression/compression.ts";
import { lzma } from "../../../../src/compression/lzma.ts";
import type { CompressionMethod } from "../../../../src/compression/method.ts";
import { brotli, gzip } from "../../../../src/compression/zlib.ts";
import { zstd } from "../../../../src/compression/zstd.ts";
import { struck } from "../blows.ts";
import { bytesTarget, type Target } from "../target.ts";
import { captured, fromBase64 } from "../vectors.ts";
import { INFLATED_LIMIT } from "./messages.ts";

interface Stream {
  method: string;
  contentType?: string;
  bytes: string;
}

const WORDS: Readonly<Record<string, readonly string[]>> = {
  gzip: ["\x78\x9c", "\x78\xda", "\x00\x00\xff\xff", "\x01\x00\x00\xff\xff"],
  bzip2: ["BZh9", "1AY&SY", "\x17rE8P\x90", "BZh1"],
  lzma: ["\xfd7zXZ\x00", "\x5d\x00\x00\x80\x00", "YZ", "\xe0\xff\xff"],
  brotli: ["\x0b", "\x8b", "\x03", "\x5b\xff\xff"],
  zstd: ["\x28\xb5\x2f\xfd", "\x50\x2a\x4d\x18\x04\x00\x00\x00", "\x01\x00\x00", "\xa4", "\xff\xff\xff\xff"],
};

const compressed = captured<Stream>("compressed");
const bombs = captured<Stream>("bombs");

/** Streams as Python wrote them, and bombs, which have to stop at the limit. */
function streamTarget(name: string, method: CompressionMethod): Target {
  const small = compressed
    .filter(({ contentType }) => contentType === method.contentType)
    .map(({ bytes }) => fromBase64(bytes));
  const large = bombs
    .filter((bomb) => bomb.method === name)
    .map(({ bytes }) => fromBase64(bytes))
    .filter(({ length }) => length < 20_000);
  const all = [...small, ...small, ...small, ...large];
  return bytesTarget(
    `stream-${name}`,
    // Most formats have a checksum at their end: of those that are struck hardly one is read to it.
    (random) => (random.chance(0.05) ? random.pick(small) : struck(random.pick(all), all, WORDS[name] ?? [], random)),
    async (bytes) => {
      const inflated = await decompress(bytes, method.contentType, INFLATED_LIMIT);
      if (inflated.length > INFLATED_LIMIT) throw new Error(`${inflated.length} bytes are more than the limit`);
      return inflated;
    },
  );
}

export const streamTargets: readonly Target[] = [
  streamTarget("gzip", gzip),
  streamTarget("bzip2", bzip2),
  streamTarget("lzma", lzma),
  streamTarget("brotli", brotli),
  streamTarget("zstd", zstd),
];
