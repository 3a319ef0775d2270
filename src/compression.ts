import { promisify } from "node:util";
import zlib from "node:zlib";
import { DecodeError, SerializerNotInstalled } from "../protocol/errors.ts";

/** What inflated content may come to, in bytes: more than any task needs, less than a bomb makes. */
export const INFLATED_LIMIT = 256 * 1024 * 1024;

/** kombu's names for its methods, and the content types that the `compression` header carries. */
const TYPES: Readonly<Record<string, string>> = {
  gzip: "application/x-gzip",
  zlib: "application/x-gzip",
  brotli: "application/x-brotli",
};

type Codec = { deflate(body: Uint8Array): Promise<Buffer>; inflate(body: Uint8Array, limit: number): Promise<Buffer> };

/** By content type. What kombu calls gzip is a zlib stream. */
const CODECS: ReadonlyMap<string, Codec> = new Map([
  [
    "application/x-gzip",
    {
      deflate: (body) => promisify(zlib.deflate)(body),
      inflate: (body, maxOutputLength) =>
        promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.inflate)(body, { maxOutputLength }),
    },
  ],
  [
    "application/x-brotli",
    {
      deflate: (body) => promisify(zlib.brotliCompress)(body),
      inflate: (body, maxOutputLength) =>
        promisify<zlib.InputType, zlib.BrotliOptions, Buffer>(zlib.brotliDecompress)(body, { maxOutputLength }),
    },
  ],
]);

/**
 * Compresses a body by kombu's name of a method (`zlib`, `gzip`, `brotli`) or its content type.
 * @throws SerializerNotInstalled for any other method
 */
export async function compress(body: Uint8Array, method: string): Promise<{ body: Uint8Array; contentType: string }> {
  const contentType = TYPES[method] ?? method;
  return { body: await codecOf(contentType).deflate(body), contentType };
}

/**
 * @param contentType the `compression` header
 * @throws DecodeError when the body is not compressed so, or inflates beyond `limit` bytes
 */
export async function decompress(body: Uint8Array, contentType: string, limit = INFLATED_LIMIT): Promise<Uint8Array> {
  const codec = codecOf(contentType);
  try {
    return await codec.inflate(body, limit);
  } catch (cause) {
    throw new DecodeError(`the body cannot be inflated as ${contentType}: ${(cause as Error).message}`, { cause });
  }
}

function codecOf(contentType: string): Codec {
  const codec = CODECS.get(contentType);
  if (codec) return codec;
  throw new SerializerNotInstalled(
    `No compression of type ${contentType}; there are: ${Object.keys(TYPES).join(", ")}`,
  );
}
