import { setImmediate } from "node:timers/promises";
import { bzip2Blocks } from "../../protocol/compression/bzip2-reader.ts";
import { bzip2Compress } from "../../protocol/compression/bzip2-writer.ts";
import type { CompressionMethod } from "./method.ts";

/** Written and read in JavaScript, of which no library does both; whatever else waits has its turn after each block. */
export const bzip2: CompressionMethod = {
  contentType: "application/x-bz2",
  names: ["bzip2", "bzip"],
  async compress(body) {
    const blocks = bzip2Compress(body);
    for (;;) {
      const { done, value } = blocks.next();
      if (done) return value;
      await setImmediate();
    }
  },
  async decompress(body, limit) {
    const blocks: Uint8Array[] = [];
    for (const block of bzip2Blocks(body, limit)) {
      blocks.push(block);
      await setImmediate();
    }
    return Buffer.concat(blocks);
  },
};
