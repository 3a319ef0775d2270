import { DecodeError, SerializerNotInstalled } from "../app/errors.ts";
import { bzip2 } from "./bzip2.ts";
import { lzma } from "./lzma.ts";
import type { CompressionMethod } from "./method.ts";
import { brotli, gzip } from "./zlib.ts";
import { zstd } from "./zstd.ts";

/** What content may inflate to unless told otherwise, in bytes: more than any task needs, less than a bomb makes. */
export const INFLATED_SIZE_LIMIT = 256 * 1024 * 1024;

/** kombu's methods. Mirrors `kombu/compression.py`. */
const METHODS: readonly CompressionMethod[] = [gzip, bzip2, brotli, lzma, zstd];

const BY_NAME: ReadonlyMap<string, CompressionMethod> = new Map(
  METHODS.flatMap((method) => [method.contentType, ...method.names].map((name) => [name, method] as const)),
);

/**
 * The method of that name, or of that content type.
 * @throws SerializerNotInstalled when there is none
 */
export function compressionMethod(name: string): CompressionMethod {
  const method = BY_NAME.get(name);
  if (method) return method;
  const known = METHODS.flatMap(({ names }) => names).join(", ");
  throw new SerializerNotInstalled(`No compression of type ${name}; there are: ${known}`);
}

/**
 * Compresses a body by kombu's name of a method (`zlib`, `bzip2`, `zstd`…) or its content type.
 * @throws SerializerNotInstalled for any other method, or when the package that it needs is missing
 */
export async function compress(body: Uint8Array, name: string): Promise<{ body: Uint8Array; contentType: string }> {
  const method = compressionMethod(name);
  return { body: await method.compress(body), contentType: method.contentType };
}

/**
 * @param name the `compression` header
 * @param limit bytes that the result may come to; null for no limit
 * @throws DecodeError when the body is not compressed so, or comes to more; SerializerNotInstalled as {@link compress}
 */
export async function decompress(
  body: Uint8Array,
  name: string,
  limit: number | null = INFLATED_SIZE_LIMIT,
): Promise<Uint8Array> {
  const method = compressionMethod(name);
  try {
    return await method.decompress(body, limit ?? Number.MAX_SAFE_INTEGER);
  } catch (cause) {
    if (cause instanceof DecodeError || cause instanceof SerializerNotInstalled) throw cause;
    throw new DecodeError(`the content cannot be inflated as ${name}: ${(cause as Error).message}`, { cause });
  }
}
