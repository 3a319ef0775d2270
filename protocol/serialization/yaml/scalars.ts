import { DecodeError } from "../../errors.ts";
import { DateTime, PlainDate } from "../../python/datetime.ts";
import { dateTimeText } from "../../python/datetime-fields.ts";
import { asInteger } from "../../python/integers.ts";
import { base64Decode } from "../bytes.ts";

/** What `!!` stands for before the name of a tag. */
export const YAML_TAG = "tag:yaml.org,2002:";

/** Longest number that is read, in characters: Python's own limit for decimal digits. */
const MAX_DIGITS = 4300;

/** What an unquoted scalar is, by its text: YAML 1.1 as PyYAML has it. Mirrors `yaml/resolver.py Resolver`. */
const IMPLICIT: readonly (readonly [tag: string, pattern: RegExp])[] = [
  ["bool", /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/],
  [
    "float",
    /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/,
  ],
  [
    "int",
    /^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/,
  ],
  ["merge", /^<<$/],
  ["null", /^(?:~|null|Null|NULL|)$/],
  [
    "timestamp",
    /^(?:\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?)$/,
  ],
  ["value", /^=$/],
];

const TIMESTAMP =
  /^(\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?(?:[ \t]*(Z|([-+])(\d\d?)(?::(\d\d))?))?)?$/;

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ["yes", true],
  ["no", false],
  ["true", true],
  ["false", false],
  ["on", true],
  ["off", false],
]);

const FLOAT = /^(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?$/;

/** The tag of an unquoted scalar that says none itself. */
export function implicitTag(text: string): string {
  for (const [tag, pattern] of IMPLICIT) if (pattern.test(text)) return YAML_TAG + tag;
  return `${YAML_TAG}str`;
}

/** `!!bool`. @throws DecodeError */
export function readBoolean(text: string): boolean {
  return BOOLEANS.get(text.toLowerCase()) ?? refuse("bool", text);
}

/** `!!int`: decimal, `0x`, `0b`, octal after a `0`, base 60 after a `:`. @throws DecodeError */
export function readInteger(text: string): number | bigint {
  const [negative, digits] = unsigned(text.replaceAll("_", ""));
  const value = digits.length <= MAX_DIGITS ? magnitude(digits) : undefined;
  if (value === undefined) return refuse("int", text);
  return asInteger(negative ? -value : value);
}

function magnitude(digits: string): bigint | undefined {
  if (/^0b[01]+$/.test(digits) || /^0x[\da-f]+$/i.test(digits)) return BigInt(digits);
  if (/^0[0-7]+$/.test(digits)) return BigInt(`0o${digits.slice(1)}`);
  if (/^(?:0|[1-9]\d*)$/.test(digits)) return BigInt(digits);
  if (!/^\d+(?::\d+)+$/.test(digits)) return undefined;
  return digits.split(":").reduce((sum, part) => sum * 60n + BigInt(part), 0n);
}

/** `!!float`. @throws DecodeError */
export function readFloat(text: string): number {
  const [negative, digits] = unsigned(text.replaceAll("_", "").toLowerCase());
  const value = digits.length <= MAX_DIGITS ? positiveFloat(digits) : undefined;
  if (value === undefined) return refuse("float", text);
  return negative ? -value : value;
}

function positiveFloat(digits: string): number | undefined {
  if (digits === ".inf") return Infinity;
  if (digits === ".nan") return Number.NaN;
  const parts = digits.split(":");
  if (!parts.every((part) => FLOAT.test(part))) return undefined;
  return parts.reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** `!!timestamp`: a date, or a datetime, naive unless it tells its offset. @throws DecodeError */
export function readTimestamp(text: string): DateTime | PlainDate {
  const match = TIMESTAMP.exec(text);
  if (!match) return refuse("timestamp", text);
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as Six;
  const microsecond = Number((match[7] ?? "").slice(0, 6).padEnd(6, "0"));
  try {
    const fields = { year, month, day, hour, minute, second, microsecond, offset: offset(match) };
    return match[4] === undefined
      ? new PlainDate(dateTimeText({ ...fields, offset: null }))
      : new DateTime(dateTimeText(fields));
  } catch {
    return refuse("timestamp", text);
  }
}

type Six = [number, number, number, number, number, number];

/** Microseconds east of UTC, null when the text says none. */
function offset([, , , , , , , , zone, sign, hours, minutes]: RegExpExecArray): number | null {
  if (!zone) return null;
  if (!sign) return 0;
  const total = (Number(hours) * 60 + Number(minutes ?? 0)) * 60e6;
  if (total >= 86_400e6) throw new RangeError("the offset is a day or more");
  return sign === "-" ? -total : total;
}

/** `!!binary`: base64, in lines. @throws DecodeError */
export function readBinary(text: string): Uint8Array {
  return base64Decode(text.replaceAll(/\s+/g, ""));
}

function unsigned(text: string): [negative: boolean, digits: string] {
  return [text.startsWith("-"), text.replace(/^[-+]/, "")];
}

function refuse(tag: string, text: string): never {
  throw new DecodeError(`not a YAML ${tag}: ${JSON.stringify(text.slice(0, 60))}`);
}
