import { utf8Encode, utf8OrUndefined } from "../serialization/bytes.ts";

/** Before a stored result that is compressed: no serializer's output begins with a zero byte. */
const MAGIC = utf8Encode("\0celery-compressed\0");

/** A stored result that says how it is compressed. */
export interface CompressedPayload {
  contentType: string;
  body: Uint8Array;
}

/**
 * A compressed result as it is stored: with its content type in front, since a store has no headers. From Celery 5.7 on.
 * Mirrors `celery/backends/base.py compress_payload`.
 */
export function writeCompressedPayload({ contentType, body }: CompressedPayload): Uint8Array {
  const type = utf8Encode(`${contentType}\0`);
  const payload = new Uint8Array(MAGIC.length + type.length + body.length);
  payload.set(MAGIC);
  payload.set(type, MAGIC.length);
  payload.set(body, MAGIC.length + type.length);
  return payload;
}

/**
 * What a stored result says of its compression; undefined for one that is not compressed.
 * Mirrors `celery/backends/base.py decompress_payload`.
 */
export function readCompressedPayload(payload: Uint8Array): CompressedPayload | undefined {
  if (payload[0] !== 0 || !MAGIC.every((byte, at) => payload[at] === byte)) return undefined;
  const end = payload.indexOf(0, MAGIC.length);
  if (end < 0) return { contentType: "", body: new Uint8Array() };
  const contentType = utf8OrUndefined(payload.subarray(MAGIC.length, end)) ?? "";
  return { contentType, body: payload.subarray(end + 1) };
}
