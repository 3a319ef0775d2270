import { Encoder } from "@msgpack/msgpack";
import { EncodeError } from "../errors.ts";
import { Float, isPythonInt } from "../python/numbers.ts";
import { forwardedValue } from "./forwarded.ts";
import { unpack, unpackForward } from "./msgpack-reader.ts";
import { RawJson } from "./raw-json.ts";
import type { Serializer } from "./serializer.ts";

const ENCODER = { useBigInt64: true, maxDepth: 500 } as const;
/** Half a character, which UTF-8 has no form for. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** How one value is being packed. */
interface Packing {
  /** True once a float was seen that the encoder would write as an integer: a whole {@link Float}, or `-0`. */
  hasWholeFloat: boolean;
  integersAsBigint: boolean;
}

/**
 * `application/x-msgpack`: text and bytes kept apart, integers to 2^64-1, no extension types.
 * Mirrors `kombu/serialization.py register_msgpack`.
 */
export const msgpack: Serializer = {
  name: "msgpack",
  contentType: "application/x-msgpack",
  contentEncoding: "binary",
  encode(value) {
    try {
      const packing: Packing = { hasWholeFloat: false, integersAsBigint: false };
      const packable = toPackable(value, 0, packing);
      if (!packing.hasWholeFloat) return new Encoder({ ...ENCODER, forceIntegerToFloat: false }).encode(packable);
      // The encoder makes an integer of every whole number, or of none: then real integers go in as bigint.
      const again = toPackable(value, 0, { hasWholeFloat: true, integersAsBigint: true });
      return new Encoder({ ...ENCODER, forceIntegerToFloat: true }).encode(again);
    } catch (error) {
      if (error instanceof EncodeError) throw error;
      throw new EncodeError(`cannot be written as msgpack: ${(error as Error).message}`, { cause: error });
    }
  },
  decode: unpack,
  decodeForward: unpackForward,
};

const MAX_UINT64 = 2n ** 64n;
const MIN_INT64 = -(2n ** 63n);

/** What Python would pack: floats marked by {@link Float} and numbers beyond 2^53 as floats, no undefined. */
function toPackable(value: unknown, depth: number, packing: Packing): unknown {
  if (depth > 500) throw new EncodeError("Circular reference detected, or nested too deeply");
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") {
    if (value >= MAX_UINT64 || value < MIN_INT64) throw new EncodeError("Integer value out of range");
    return packing.integersAsBigint ? value : packableInteger(value);
  }
  if (typeof value === "number") {
    if (!isPythonInt(value)) return packableFloat(value, packing);
    return packing.integersAsBigint ? BigInt(value) : packableInteger(value);
  }
  if (typeof value === "string") return packableText(value);
  if (typeof value === "function" || typeof value === "symbol") {
    throw new EncodeError(`can not serialize '${typeof value}' object`);
  }
  if (typeof value !== "object" || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map((item) => toPackable(item, depth + 1, packing));
  const prototype = Object.getPrototypeOf(value);
  if (value instanceof Map || prototype === Object.prototype || prototype === null) {
    return packableObject(value, depth, packing);
  }
  if (value instanceof Float) return packableFloat(value.value, packing);
  if (value instanceof RawJson) return toPackable(forwardedValue(value), depth, packing);
  throw new EncodeError(`can not serialize '${value.constructor?.name ?? "object"}' object`);
}

function packableObject(value: object, depth: number, packing: Packing): Record<string, unknown> {
  const object: Record<string, unknown> = Object.create(null);
  for (const [key, item] of value instanceof Map ? value : Object.entries(value)) {
    if (item !== undefined) object[packableText(String(key))] = toPackable(item, depth + 1, packing);
  }
  return object;
}

/** As a number the encoder writes it in the fewest bytes, but one of more than 32 bits as a float. */
function packableInteger(value: number | bigint): number | bigint {
  return value >= -0x80000000 && value <= 0xffffffff ? Number(value) : BigInt(value);
}

function packableFloat(value: number, packing: Packing): number {
  packing.hasWholeFloat ||= Number.isSafeInteger(value);
  return value;
}

/** The encoder would write bytes that Python refuses to read. */
function packableText(value: string): string {
  if (LONE_SURROGATE.test(value)) throw new EncodeError("text with half a character in it cannot be written as UTF-8");
  return value;
}
