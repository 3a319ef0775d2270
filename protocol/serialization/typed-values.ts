import { DecodeError, EncodeError } from "../errors.ts";
import { DateTime, isoFormat, PlainDate, PlainTime } from "../python/datetime.ts";
import { Decimal } from "../python/decimal.ts";
import { UUID } from "../python/uuid.ts";
import { base64Decode, base64Encode, utf8Encode, utf8OrUndefined } from "./bytes.ts";

/** The two keys by which kombu's JSON carries what JSON has no form for. */
export interface TypedValue {
  __type__: string;
  __value__: unknown;
}

/**
 * The typed form of a Python value in kombu's JSON, or undefined for anything else.
 * Mirrors `kombu/utils/json.py JSONEncoder.default`.
 */
export function toTypedValue(value: object): TypedValue | undefined {
  if (value instanceof DateTime) return typed("datetime", value.isoFormat());
  if (value instanceof Date) return typed("datetime", isoFormat(value));
  if (value instanceof Uint8Array) {
    const text = utf8OrUndefined(value);
    return text === undefined ? typed("base64", base64Encode(value)) : typed("bytes", text);
  }
  if (value instanceof Decimal) return typed("decimal", value.text);
  if (value instanceof UUID) return typed("uuid", { hex: value.hex });
  if (value instanceof PlainDate) return typed("date", value.text);
  if (value instanceof PlainTime) return typed("time", value.text);
  return undefined;
}

/**
 * The text that JSON carried in the place of such a value up to kombu 5.2, which nothing tells from other text; undefined
 * for anything else. Mirrors its `kombu/utils/json.py JSONEncoder.default`.
 *
 * @throws EncodeError for bytes
 */
export function toText(value: object): string | undefined {
  if (value instanceof DateTime) return zulu(value.isoFormat());
  if (value instanceof Date) return zulu(isoFormat(value));
  if (value instanceof PlainDate) return `${value.text}T00:00:00`;
  if (value instanceof PlainTime || value instanceof Decimal) return value.text;
  if (value instanceof UUID) return String(value);
  if (value instanceof Uint8Array) throw new EncodeError("Object of type bytes is not JSON serializable");
  return undefined;
}

function zulu(iso: string): string {
  return iso.replace(/\+00:00$/, "Z");
}

function typed(type: string, value: unknown): TypedValue {
  return { __type__: type, __value__: value };
}

/** True for an object that kombu's reader would turn into a Python value: exactly the two keys, nothing else. */
export function isTypedValue(value: object): value is TypedValue {
  if (!Object.hasOwn(value, "__type__") || !Object.hasOwn(value, "__value__")) return false;
  return Object.keys(value).length === 2;
}

/**
 * The value that a typed one stands for. Mirrors `kombu/utils/json.py object_hook`.
 * @throws DecodeError for an unknown type, as Python raises, and for a value that its type does not allow
 */
export function fromTypedValue({ __type__: type, __value__: value }: TypedValue): unknown {
  const decode = decoders.get(type);
  if (!decode) throw new DecodeError(`Unsupported type ${shown(type)} in a typed JSON value`);
  try {
    return decode(value);
  } catch (cause) {
    throw new DecodeError(`the value of a JSON ${type} is not one: ${(cause as Error).message}`, { cause });
  }
}

const decoders = new Map<string, (value: unknown) => unknown>([
  ["datetime", (value) => new DateTime(text(value))],
  ["date", (value) => new PlainDate(text(value))],
  ["time", (value) => new PlainTime(text(value))],
  ["decimal", (value) => new Decimal(text(value))],
  ["uuid", (value) => new UUID(text((value as { hex?: unknown } | null)?.hex))],
  ["bytes", (value) => utf8Encode(text(value))],
  ["base64", (value) => base64Decode(text(value))],
]);

/** What came off the wire need not be text. */
function shown(type: unknown): string {
  return typeof type === "string" ? JSON.stringify(type) : typeof type;
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new TypeError(`expected text, got ${value === null ? "null" : typeof value}`);
  return value;
}
