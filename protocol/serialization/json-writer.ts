import { EncodeError } from "../errors.ts";
import { Float, floatRepr, INT_MAX_STR_DIGITS, isPythonInt } from "../python/numbers.ts";
import { MAX_DEPTH } from "./json-depth.ts";
import { RawJson } from "./raw-json.ts";
import { toText, toTypedValue } from "./typed-values.ts";

const PLAIN = /^[ !#-[\]-~]*$/;
const NOT_ASCII = /[\x7f-\uffff]/g;

/** The names that are in every message and result, ready to be written: a third of the cost of one. */
const WIRE_KEYS: ReadonlyMap<string, string> = new Map(
  [
    "lang task id shadow eta expires group group_index retries timelimit root_id parent_id argsrepr kwargsrepr origin",
    "ignore_result replaced_task_nesting stamped_headers stamps callbacks errbacks chain chord",
    "correlation_id reply_to delivery_mode delivery_info exchange routing_key priority body_encoding delivery_tag",
    "status result traceback children date_done task_id exc_type exc_message exc_module",
    "args kwargs options subtask_type immutable chord_size",
  ]
    .flatMap((names) => names.split(" "))
    .map((name) => [name, `"${name}": `]),
);

/**
 * JSON exactly as Python's `json.dumps` through kombu writes it: `", "` and `": "` between the parts, everything
 * beyond ASCII escaped, `NaN` and `Infinity` bare, a `float` never without its point, typed values for dates, bytes…
 * Mirrors `kombu/utils/json.py dumps`.
 *
 * @param untyped true to write what has a type as text, as kombu does up to 5.2: then bytes have no form
 * @throws EncodeError for a value with no form in JSON, a cycle, or one nested too deeply
 */
export function dumps(value: unknown, untyped = false): string {
  try {
    return write(value, 0, untyped);
  } catch (error) {
    if (error instanceof EncodeError) throw error;
    throw new EncodeError(`cannot be written as JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** A JSON string in ASCII. */
export function dumpString(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  return JSON.stringify(text).replace(NOT_ASCII, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function write(value: unknown, depth: number, untyped: boolean): string {
  switch (typeof value) {
    case "string":
      return dumpString(value);
    case "number":
      return dumpNumber(value);
    case "boolean":
      return value ? "true" : "false";
    case "undefined":
      return "null";
    case "bigint":
      return dumpBigint(value);
    case "object":
      if (value === null) return "null";
      if (depth === MAX_DEPTH) throw new EncodeError("Circular reference detected, or nested too deeply");
      return Array.isArray(value) ? writeList(value, depth + 1, untyped) : writeObject(value, depth + 1, untyped);
    default:
      throw new EncodeError(`Object of type ${typeof value} is not JSON serializable`);
  }
}

function dumpNumber(value: number): string {
  if (isPythonInt(value)) return String(value);
  return Number.isFinite(value) ? floatRepr(value) : String(value);
}

function dumpBigint(value: bigint): string {
  const text = String(value);
  if (text.replace("-", "").length <= INT_MAX_STR_DIGITS) return text;
  throw new EncodeError(`an integer of more than ${INT_MAX_STR_DIGITS} digits is not JSON serializable`);
}

function writeList(items: readonly unknown[], depth: number, untyped: boolean): string {
  if (items.length === 0) return "[]";
  let out = `[${write(items[0], depth, untyped)}`;
  for (let i = 1; i < items.length; i++) out += `, ${write(items[i], depth, untyped)}`;
  return `${out}]`;
}

function writeObject(value: object, depth: number, untyped: boolean): string {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null)
    return writePlain(value as Record<string, unknown>, depth, untyped);
  if (value instanceof RawJson) return value.text;
  if (value instanceof Float) return Number.isFinite(value.value) ? floatRepr(value.value) : String(value.value);
  if (value instanceof Map) return writeMap(value, depth, untyped);
  const text = untyped ? toText(value) : undefined;
  if (text !== undefined) return dumpString(text);
  const typed = toTypedValue(value);
  if (typed) return `{"__type__": "${typed.__type__}", "__value__": ${write(typed.__value__, depth, untyped)}}`;
  const toJson = (value as { toJSON?: unknown }).toJSON;
  if (typeof toJson === "function") return write(toJson.call(value), depth, untyped);
  throw new EncodeError(`Object of type ${typeName(value)} is not JSON serializable`);
}

function writePlain(value: Record<string, unknown>, depth: number, untyped: boolean): string {
  let out = "";
  for (const key of Object.keys(value)) {
    const item = value[key];
    if (item === undefined) continue;
    out +=
      (out === "" ? "{" : ", ") +
      (WIRE_KEYS.get(key) ?? `${dumpString(key)}: `) +
      (item === null ? "null" : write(item, depth, untyped));
  }
  return out === "" ? "{}" : `${out}}`;
}

/** Python turns the keys of a dict into text: `1`, `1.0`, `True` and `None` are `"1"`, `"1.0"`, `"true"`, `"null"`. */
function writeMap(map: ReadonlyMap<unknown, unknown>, depth: number, untyped: boolean): string {
  const parts = Array.from(map, ([key, item]) => `${dumpKey(key)}: ${write(item, depth, untyped)}`);
  return `{${parts.join(", ")}}`;
}

function dumpKey(key: unknown): string {
  if (typeof key === "string") return dumpString(key);
  const scalar = key === null || typeof key === "number" || typeof key === "boolean" || typeof key === "bigint";
  if (!scalar) throw new EncodeError(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
  return `"${write(key, 0, false)}"`;
}

function typeName(value: unknown): string {
  if (typeof value !== "object" || value === null) return typeof value;
  return value.constructor?.name || "object";
}
