import { EncodeError } from "../../../protocol/errors.ts";
import { Decimal } from "../../../protocol/python/decimal.ts";
import { Float, isPythonInt } from "../../../protocol/python/numbers.ts";
import { loads } from "../../../protocol/serialization/json-reader.ts";
import { RawJson } from "../../../protocol/serialization/raw-json.ts";
import { asBuffer } from "../../buffer.ts";

/** How the driver is told which type of a table a value is to have. */
interface Typed {
  "!": string;
  value: unknown;
}

const INT32 = 2 ** 31;
const SMALL_INTEGERS = Array.from({ length: 256 }, (_, value) => Object.freeze(typed("int32", value)));

/**
 * A table as the driver takes it, whose values get the types that py-amqp gives them: `I` for every integer of 32
 * bits (older py-amqp misreads shorter ones), 64 bits for a larger one, `d` for whatever Python has as a `float`.
 * Mirrors `amqp/serialization.py _write_item`.
 *
 * @throws EncodeError for a value that has no form in a table
 */
export function tableValues(table: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const key of Object.keys(table)) {
    const value = table[key];
    if (value === undefined) continue;
    values[key] = typeof value === "string" || value === null ? value : tableValue(value, key);
  }
  return values;
}

function tableValue(value: unknown, key: string): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return numberValue(value);
    case "bigint":
      return bigintValue(value, key);
    case "undefined":
      return null;
    case "object":
      return value === null ? null : objectValue(value, key);
    default:
      throw new EncodeError(`header ${key}: a ${typeof value} cannot be sent`);
  }
}

function numberValue(value: number): Typed {
  if (!isPythonInt(value)) return typed("double", value);
  if (value >= -INT32 && value < INT32) return SMALL_INTEGERS[value] ?? typed("int32", value);
  return typed("int64", value);
}

function bigintValue(value: bigint, key: string): Typed {
  if (BigInt.asIntN(32, value) === value) return typed("int32", Number(value));
  if (BigInt.asIntN(64, value) === value) return typed("int64", value);
  throw new EncodeError(`header ${key}: the integer ${value} does not fit into 64 bits`);
}

function objectValue(value: object, key: string): unknown {
  if (Array.isArray(value)) return value.map((item) => tableValue(item, key));
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return nested(value as Record<string, unknown>);
  if (value instanceof Float) return typed("double", value.value);
  if (value instanceof RawJson) return rawValue(value.text, key);
  if (value instanceof Date) return typed("timestamp", Math.floor(value.getTime() / 1000));
  if (value instanceof Decimal) return decimalValue(value, key);
  if (value instanceof Uint8Array) return asBuffer(value);
  if (value instanceof Map) return nested(Object.fromEntries(value));
  const toJson = (value as { toJSON?: unknown }).toJSON;
  if (typeof toJson === "function") return tableValue(toJson.call(value), key);
  throw new EncodeError(`header ${key}: a ${value.constructor?.name ?? "value"} cannot be sent`);
}

/** A key `!` would be taken for the driver's own notation, so the notation says that it is not. */
function nested(table: Record<string, unknown>): unknown {
  const values = tableValues(table);
  return Object.hasOwn(values, "!") ? typed("object", values) : values;
}

/** A number that JavaScript would change, or an object whose keys are in an order of their own. */
function rawValue(text: string, key: string): unknown {
  const value = loads(text);
  const isFloat = typeof value === "number" && /[.eE]|NaN|Infinity/.test(text);
  return isFloat ? typed("double", value) : tableValue(value, key);
}

function decimalValue({ text }: Decimal, key: string): Typed {
  const [, sign = "", whole = "", fraction = ""] = /^([+-]?)(\d*)\.?(\d*)$/.exec(text) ?? [];
  const digits = Number(`${sign}${whole}${fraction}`);
  if (whole + fraction === "" || fraction.length > 255 || digits !== (digits | 0)) {
    throw new EncodeError(`header ${key}: the decimal ${text} does not fit into 32 bits`);
  }
  return typed("decimal", { places: fraction.length, digits: digits >>> 0 });
}

function typed(type: string, value: unknown): Typed {
  return { "!": type, value };
}
