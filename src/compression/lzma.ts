import type { Duplex } from "node:stream";
import { finished } from "node:stream/promises";
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

/** What a byte of LZMA2 can stand for, nearly; and the bytes that the decoder is given at a time. */
const MAX_RATIO = 7_000;
const MIN_PIECE = 128;
const MAX_PIECE = 65_536;

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

/**
 * Handed over in pieces: the decoder inflates all that it is given before anybody can tell it to stop, so that no piece
 * may come to much more than there is room for.
 */
async function collected(decoder: Duplex, body: Uint8Array, limit: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  decoder.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length <= limit) chunks.push(chunk);
  });
  const ended = finished(decoder);
  for (let at = 0; at < body.length; ) {
    const size = Math.min(MAX_PIECE, Math.max(MIN_PIECE, Math.floor((limit - length) / MAX_RATIO)));
    const piece = Buffer.from(body.subarray(at, at + size));
    at += size;
    await Promise.race([ended, new Promise<void>((resolve) => decoder.write(piece, () => resolve()))]);
    if (length > limit) throw new InflatedSizeExceeded(limit);
  }
  decoder.end();
  await ended;
  if (length > limit) throw new InflatedSizeExceeded(limit);
  return Buffer.concat(chunks);
}
