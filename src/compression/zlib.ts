import { kMaxLength } from "node:buffer";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { DecodeError, InflatedSizeExceeded } from "../app/errors.ts";
import type { CompressionMethod } from "./method.ts";

type Deflate = (body: Uint8Array) => Promise<Uint8Array>;
type Inflate = (body: Uint8Array, options: { maxOutputLength: number }) => Promise<Uint8Array>;

/** Both names mean a zlib stream in kombu; gzip's own format is never used. */
export const gzip: CompressionMethod = {
  contentType: "application/x-gzip",
  names: ["gzip", "zlib"],
  compress: promisify(zlib.deflate) as Deflate,
  decompress: limited(promisify(zlib.inflate) as Inflate, "gzip"),
};

export const brotli: CompressionMethod = {
  contentType: "application/x-brotli",
  names: ["brotli"],
  compress: promisify(zlib.brotliCompress) as Deflate,
  decompress: limited(promisify(zlib.brotliDecompress) as Inflate, "brotli"),
};

/** zstd as Node brings it from 22.15 on; undefined before. */
export const nodeZstd = nodeHasZstd(zlib)
  ? {
      compress: promisify(zlib.zstdCompress) as Deflate,
      decompress: limited(promisify(zlib.zstdDecompress) as Inflate, "zstd"),
    }
  : undefined;

interface ZstdModule {
  zstdCompress: (body: Uint8Array, callback: (error: Error | null, result: Buffer) => void) => void;
  zstdDecompress: (body: Uint8Array, options: object, callback: (error: Error | null, result: Buffer) => void) => void;
}

function nodeHasZstd(module: object): module is ZstdModule {
  return "zstdCompress" in module && "zstdDecompress" in module;
}

/** Node stops at the limit by itself, and says so by a code. */
function limited(inflate: Inflate, name: string): CompressionMethod["decompress"] {
  return async (body, limit) => {
    try {
      return await inflate(body, { maxOutputLength: Math.max(1, Math.min(limit, kMaxLength)) });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE")
        throw new InflatedSizeExceeded(limit, { cause });
      throw new DecodeError(`the content cannot be inflated as ${name}: ${(cause as Error).message}`, { cause });
    }
  };
}
