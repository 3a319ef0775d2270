import type * as Bson from "mongodb";
import { isMapping } from "../../../protocol/message/headers.ts";
import { Float, isPythonInt } from "../../../protocol/python/numbers.ts";
import { EncodeError } from "../../app/errors.ts";

/** The driver's types for what JavaScript has no own of. */
export type BsonTypes = Pick<typeof Bson, "Binary" | "Double" | "Long">;

const INT64 = [-(2n ** 63n), 2n ** 63n - 1n] as const;

/**
 * A value as PyMongo would write it: integers as such, whatever their size, and floats as floats.
 * @throws EncodeError for what BSON has no form for
 */
export function toBson(value: unknown, types: BsonTypes): unknown {
  if (value === null || value === undefined) return null;
  if (value instanceof Float) return new types.Double(value.value);
  if (typeof value === "bigint" || (typeof value === "number" && isPythonInt(value))) {
    const whole = BigInt(value);
    if (whole < INT64[0] || whole > INT64[1]) {
      throw new EncodeError(`MongoDB can only handle up to 8-byte ints: ${whole}`);
    }
    return Math.abs(Number(whole)) < 2 ** 31 ? Number(whole) : types.Long.fromBigInt(whole);
  }
  if (typeof value === "number") return new types.Double(value);
  if (typeof value === "string" || typeof value === "boolean" || value instanceof Date) return value;
  if (value instanceof Uint8Array) return new types.Binary(value);
  if (Array.isArray(value)) return value.map((item) => toBson(item, types));
  if (isMapping(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toBson(item, types)]));
  }
  throw new EncodeError(`MongoDB cannot hold a ${(value as object).constructor?.name ?? typeof value}`);
}

/** A value as the driver gives it, with 64-bit integers as bigint, in the types of the other backends. */
export function fromBson(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (Array.isArray(value)) return value.map(fromBson);
  if (isMapping(value) && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromBson(item)]));
  }
  return value;
}
