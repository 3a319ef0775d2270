import { forwardedValue } from "../serialization/forwarded.ts";
import { FrozenSet, OrderedDict, Tuple } from "./collections.ts";
import { PlainDate, PlainTime } from "./datetime.ts";
import { dateRepr, datetimeRepr, timeRepr } from "./datetime-repr.ts";
import { Decimal } from "./decimal.ts";
import { decimalRepr } from "./decimal-repr.ts";
import { ExceptionValue } from "./exception-value.ts";
import { Float, floatRepr, numberRepr } from "./numbers.ts";
import { TimeDelta, timedeltaRepr } from "./timedelta.ts";
import { UUID } from "./uuid.ts";

/** Containers nested deeper than this are shown as `...`. */
const MAX_DEPTH = 100;
/** How often containers that were shown before are shown in full again: objects that refer to each other have no end. */
const MAX_AGAIN = 1000;

/** Where the walk through a value is, and where it was. */
interface Walk {
  /** The containers around, from the outermost in. */
  readonly path: object[];
  readonly seen: Set<object>;
  again: number;
}

/** A string as Python's `repr()` quotes and escapes it. */
export function stringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = quote;
  for (const char of text) {
    if (char === quote || char === "\\") out += `\\${char}`;
    else if (char === "\n") out += "\\n";
    else if (char === "\r") out += "\\r";
    else if (char === "\t") out += "\\t";
    else out += isPrintable(char) ? char : escapeCodePoint(char.codePointAt(0) as number);
  }
  return out + quote;
}

/**
 * A value as Python's `repr()` would print what it becomes there: `None`, `True`, `1.0`, `'text'`, `{'a': [1]}`.
 * Never throws: what has no counterpart in Python is shown in JavaScript's way, what cannot be looked at as an object.
 */
export function repr(value: unknown): string {
  return valueRepr(value, undefined);
}

function valueRepr(value: unknown, walk: Walk | undefined): string {
  if (value === null || value === undefined) return "None";
  switch (typeof value) {
    case "boolean":
      return value ? "True" : "False";
    case "number":
      return numberRepr(value);
    case "bigint":
      return String(value);
    case "string":
      return stringRepr(value);
    case "object":
      return containerRepr(value, walk ?? { path: [], seen: new Set(), again: 0 });
    default:
      return `<${typeof value}>`;
  }
}

function containerRepr(value: object, walk: Walk): string {
  const depth = walk.path.length;
  try {
    const known = forwardedValue(value);
    if (known !== value) return valueRepr(known, walk);
    const scalar = scalarRepr(value);
    if (scalar !== undefined) return scalar;
    if (walk.path.includes(value)) return Array.isArray(value) ? "[...]" : "{...}";
    if (walk.seen.has(value)) walk.again += 1;
    if (depth > MAX_DEPTH || walk.again > MAX_AGAIN) return "...";
    walk.seen.add(value);
    walk.path.push(value);
    return Array.isArray(value) ? sequenceRepr(value, walk) : objectRepr(value, walk);
  } catch {
    // A getter or a proxy that throws.
    return "<object>";
  } finally {
    walk.path.length = depth;
  }
}

function sequenceRepr(items: readonly unknown[], walk: Walk): string {
  if (!(items instanceof Tuple)) return `[${joined(items, walk)}]`;
  return `(${joined(items, walk)}${items.length === 1 ? "," : ""})`;
}

function objectRepr(value: object, walk: Walk): string {
  if (value instanceof FrozenSet) return value.size ? `frozenset({${joined(value, walk)}})` : "frozenset()";
  if (value instanceof Set) return value.size ? `{${joined(value, walk)}}` : "set()";
  if (value instanceof OrderedDict) {
    const pairs = Array.from(value, ([key, item]) => `(${valueRepr(key, walk)}, ${valueRepr(item, walk)})`);
    return `OrderedDict(${pairs.length ? `[${pairs.join(", ")}]` : ""})`;
  }
  if (value instanceof ExceptionValue) {
    return `${value.type.slice(value.type.lastIndexOf(".") + 1)}(${joined(value.args, walk)})`;
  }
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return `{${entries.map(([key, item]) => `${valueRepr(key, walk)}: ${valueRepr(item, walk)}`).join(", ")}}`;
}

function joined(items: Iterable<unknown>, walk: Walk): string {
  return Array.from(items, (item) => valueRepr(item, walk)).join(", ");
}

/** `repr` of the value types that have no members to walk; undefined for containers. */
export function scalarRepr(value: object): string | undefined {
  if (value instanceof Float) return floatRepr(value.value);
  if (value instanceof Date) return datetimeRepr(value);
  if (value instanceof Decimal) return decimalRepr(value);
  if (value instanceof UUID) return `UUID('${value}')`;
  if (value instanceof PlainDate) return dateRepr(value);
  if (value instanceof PlainTime) return timeRepr(value);
  if (value instanceof TimeDelta) return timedeltaRepr(value);
  if (value instanceof Uint8Array) return bytesRepr(value);
  if (value instanceof Error) return `${value.name}(${stringRepr(value.message)})`;
  return undefined;
}

/** Bytes as Python's `repr()` prints them. */
export function bytesRepr(bytes: Uint8Array): string {
  const quote = bytes.includes(0x27) && !bytes.includes(0x22) ? '"' : "'";
  let out = `b${quote}`;
  for (const byte of bytes) {
    if (byte === quote.charCodeAt(0) || byte === 0x5c) out += `\\${String.fromCharCode(byte)}`;
    else if (byte === 0x0a) out += "\\n";
    else if (byte === 0x0d) out += "\\r";
    else if (byte === 0x09) out += "\\t";
    else out += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${hex(byte, 2)}`;
  }
  return out + quote;
}

function isPrintable(char: string): boolean {
  return char === " " || !/[\p{C}\p{Z}]/u.test(char);
}

function escapeCodePoint(code: number): string {
  if (code < 0x100) return `\\x${hex(code, 2)}`;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

function hex(code: number, width: number): string {
  return code.toString(16).padStart(width, "0");
}
