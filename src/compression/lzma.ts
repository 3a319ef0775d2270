import type { Duplex } from "node:stream";
import { DecodeError, InflatedSizeExceeded } from "../app/errors.ts";
import type { CompressionMethod } from "./method.ts";
import { optionalPackage } from "./optional-package.ts";

/** What is used of lzma-native, the bindings of liblzma. */
interface LzmaNative {
  compress(body: Buffer): Promise<Buffer>;
  createStream(coder: "autoDecoder", options: { memlimit: number }): Duplex;
}

/** Bytes of memory that a decoder may take: a dictionary of 64 MiB, which is that of the highest preset, and then some. */
const MEMORY_LIMIT = 80 * 1024 * 1024;

/** `.xz` is written, and the older `.lzma` read as well, as Python's `lzma.decompress` does. */
export const lzma: CompressionMethod = {
  contentType: "application/x-lzma",
  names: ["lzma", "xz"],
  async compress(body) {
    const native = await lzmaNative();
    return native.compress(Buffer.from(body));
  },
  async decompress(body, limit) {
    const native = await lzmaNative();
    const decoder = native.createStream("autoDecoder", { memlimit: MEMORY_LIMIT });
    try {
      return await collected(decoder, body, limit);
    } catch (cause) {
      if (cause instanceof DecodeError) throw cause;
      throw new DecodeError(`the content cannot be inflated as lzma: ${(cause as Error).message}`, { cause });
    } finally {
      decoder.destroy();
    }
  },
};

function lzmaNative(): Promise<LzmaNative> {
  return optionalPackage<LzmaNative>("lzma-native", "lzma");
}

async function collected(decoder: Duplex, body: Uint8Array, limit: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  decoder.end(Buffer.from(body));
  for await (const chunk of decoder) {
    length += chunk.length;
    if (length > limit) throw new InflatedSizeExceeded(limit);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
