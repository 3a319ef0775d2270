import { Encoder } from "@msgpack/msgpack";
import { EncodeError } from "../errors.ts";
import { Float, isPythonInt } from "../python/numbers.ts";
import { unpack, unpackForward } from "./msgpack-reader.ts";
import type { Serializer } from "./serializer.ts";

const ENCODER = { useBigInt64: true, maxDepth: 500 } as const;

/** How one value is being packed. */
interface Packing {
  /** True once a {@link Float} was seen that JavaScript would write as an integer. */
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
    return Number.isSafeInteger(Number(value)) && !packing.integersAsBigint ? Number(value) : value;
  }
  if (typeof value === "number") return packing.integersAsBigint && isPythonInt(value) ? BigInt(value) : value;
  if (typeof value === "function" || typeof value === "symbol") {
    throw new EncodeError(`can not serialize '${typeof value}' object`);
  }
  if (typeof value !== "object" || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map((item) => toPackable(item, depth + 1, packing));
  const prototype = Object.getPrototypeOf(value);
  if (value instanceof Map || prototype === Object.prototype || prototype === null) {
    return packableObject(value, depth, packing);
  }
  if (value instanceof Float) {
    packing.hasWholeFloat ||= isPythonInt(value.value);
    return value.value;
  }
  throw new EncodeError(`can not serialize '${value.constructor?.name ?? "object"}' object`);
}

function packableObject(value: object, depth: number, packing: Packing): Record<string, unknown> {
  const object: Record<string, unknown> = Object.create(null);
  for (const [key, item] of value instanceof Map ? value : Object.entries(value)) {
    if (item !== undefined) object[String(key)] = toPackable(item, depth + 1, packing);
  }
  return object;
}
