import { EncodeError } from "../../errors.ts";
import { FrozenSet, OrderedDict } from "../../python/collections.ts";
import { DateTime, isoFormat, PlainDate, PlainTime } from "../../python/datetime.ts";
import { dateTimeFields, dateTimeText } from "../../python/datetime-fields.ts";
import { Decimal } from "../../python/decimal.ts";
import { ExceptionValue } from "../../python/exception-value.ts";
import { Float, floatRepr, isPythonInt } from "../../python/numbers.ts";
import { TimeDelta } from "../../python/timedelta.ts";
import { UUID } from "../../python/uuid.ts";
import { base64Encode } from "../bytes.ts";
import { plainValue } from "../plain-value.ts";

/** A key that is longer has to be announced by a `?`: YAML looks for its `:` within 1024 characters only. */
const SIMPLE_KEY = 500;

const MAX_DEPTH = 500;

/** What a quoted text cannot hold as it is, this writer keeping to ASCII. */
const SPECIAL = /["\\]|[^ -~]/gu;

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/** Value types that PyYAML's safe dumper refuses as well. */
const UNKNOWN = [PlainTime, Decimal, UUID, TimeDelta, FrozenSet, OrderedDict, ExceptionValue];

/**
 * A value in YAML's flow style, on one line and in ASCII, every text quoted: what PyYAML's `safe_load` reads as the
 * same value whatever the text looks like. A part that is shared is written wherever it is.
 *
 * @throws EncodeError for a value that PyYAML's `safe_dump` refuses, a cycle, or nesting beyond 500 levels
 */
export function writeYaml(value: unknown, depth = 0): string {
  switch (typeof value) {
    case "string":
      return quoted(value);
    case "number":
      return isPythonInt(value) ? String(value) : float(value);
    case "bigint":
    case "boolean":
      return String(value);
    case "undefined":
      return "null";
    case "object":
      return value === null ? "null" : writeObject(value, depth + 1);
    default:
      throw new EncodeError(`cannot represent a ${typeof value} in YAML`);
  }
}

function writeObject(value: object, depth: number): string {
  if (depth > MAX_DEPTH) throw new EncodeError("Circular reference detected, or nested too deeply");
  if (UNKNOWN.some((type) => value instanceof type)) {
    throw new EncodeError(`cannot represent an object of type ${value.constructor.name} in YAML`);
  }
  if (Array.isArray(value)) return `[${value.map((item) => writeYaml(item, depth)).join(", ")}]`;
  if (value instanceof Map) return mapping(value, depth);
  if (value instanceof Set)
    return `!!set ${mapping(
      Array.from(value, (item) => [item, null] as const),
      depth,
    )}`;
  if (value instanceof Float) return float(value.value);
  if (value instanceof Uint8Array) return `!!binary "${base64Encode(value)}"`;
  if (value instanceof Date) return `!!timestamp "${timestamp(value)}"`;
  if (value instanceof PlainDate) return `!!timestamp "${value.text}"`;
  const plain = plainValue(value);
  if (plain !== value) return writeYaml(plain, depth);
  return mapping(
    Object.entries(value).filter(([, item]) => item !== undefined),
    depth,
  );
}

function mapping(entries: Iterable<readonly [unknown, unknown]>, depth: number): string {
  const parts = Array.from(entries, ([key, item]) => `${writeKey(key, depth)}: ${writeYaml(item, depth)}`);
  return `{${parts.join(", ")}}`;
}

function writeKey(key: unknown, depth: number): string {
  const text = writeYaml(key, depth);
  if (/^[[{]|^!!set/.test(text)) throw new EncodeError("a list, dict or set cannot be a key in Python");
  return text.length > SIMPLE_KEY ? `? ${text} ` : text;
}

/** Python prints a float without a point beyond 1e16, which YAML 1.1 would take for text. */
function float(value: number): string {
  if (Number.isNaN(value)) return ".nan";
  if (!Number.isFinite(value)) return value > 0 ? ".inf" : "-.inf";
  const text = floatRepr(value);
  return text.includes(".") ? text : text.replace("e", ".0e");
}

function timestamp(date: Date): string {
  const fields = dateTimeFields(date instanceof DateTime ? date.isoFormat() : isoFormat(date));
  if (fields.offset !== null && fields.offset % 60e6 !== 0) {
    throw new EncodeError("YAML has no form for an offset from UTC with seconds");
  }
  return dateTimeText(fields, " ");
}

function quoted(text: string): string {
  return `"${text.replace(SPECIAL, (char) => ESCAPES.get(char) ?? escaped(char.codePointAt(0) as number))}"`;
}

function escaped(code: number): string {
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
