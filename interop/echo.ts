import fc from "fast-check";
import { FrozenSet, OrderedDict, Tuple, tuple } from "../protocol/python/collections.ts";
import { DateTime } from "../protocol/python/datetime.ts";
import { Float, isPythonInt } from "../protocol/python/numbers.ts";
import { repr } from "../protocol/python/repr.ts";
import { TimeDelta } from "../protocol/python/timedelta.ts";
import { bigint, brokenText, jsonValue, msgpackValue, number, text, typed } from "../test/fuzz/values.ts";

/** The least and the greatest, and what is not even a number. */
const doubles = fc.oneof(
  number,
  fc.constantFrom(5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e-7, 0.1),
);

/** What nests deeper than what the other generators make: some of each batch. */
function deep(leaf: fc.Arbitrary<unknown>, most: number): fc.Arbitrary<unknown> {
  return fc.tuple(leaf, fc.array(fc.boolean(), { minLength: 20, maxLength: most })).map(([value, levels]) => {
    let whole: unknown = value;
    for (const list of levels) whole = list ? [whole] : { in: whole };
    return whole;
  });
}

const atoms = [
  fc.constantFrom<unknown>(null, true, false, "", "__proto__", "\0", "😀", "yes", "1:30", "2031-05-06", "<<", "=", "~"),
  doubles,
  doubles.map((value) => new Float(value)),
  bigint(-(2n ** 200n), 2n ** 200n),
  text,
  fc.uint8Array(),
];

/** Keys and items of sets: no two of them are equal in Python alone, as 1 and True are. */
const keys = fc.uniqueArray(fc.oneof(fc.integer(), text, fc.uint8Array({ minLength: 1 })), {
  maxLength: 5,
  selector: (key) => described(key),
});

/** Values of Python's that JavaScript has collections for. */
function collections(leaf: fc.Arbitrary<unknown>, only: "YAML" | "pickle"): fc.Arbitrary<unknown> {
  const items = (tie: fc.Arbitrary<unknown>): fc.Arbitrary<[unknown, unknown][]> =>
    fc
      .tuple(keys, fc.array(tie, { minLength: 5, maxLength: 5 }))
      .map(([names, values]) => names.map((name, position) => [name, values[position]]));
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      leaf,
      fc.array(tie("value"), { maxLength: 5 }),
      keys.map((list) => new Set(list)),
      items(tie("value")).map((entries) => new Map(entries)),
      fc.dictionary(text, tie("value"), { maxKeys: 5, noNullPrototype: true }),
      ...(only === "pickle"
        ? [
            fc.array(tie("value"), { maxLength: 5 }).map(tuple),
            keys.map((list) => new FrozenSet(list)),
            items(tie("value")).map((entries) => new OrderedDict(entries)),
          ]
        : []),
    ),
  }));
  return value;
}

/** YAML's moments have offsets of minutes. */
const yamlMoment = fc
  .tuple(
    fc.date({ min: new Date("0001-01-02"), max: new Date("9999-12-30"), noInvalidDate: true }),
    fc.constantFrom("", ".000001", ".123456", ".500000"),
    fc.constantFrom("", "+00:00", "+05:30", "-11:00"),
  )
  .map(([date, fraction, offset]) => new DateTime(date.toISOString().slice(0, 19) + fraction + offset));

const timeDelta = fc
  .tuple(fc.integer({ min: -999_999, max: 999_999 }), fc.nat(86_399), fc.nat(999_999))
  .map(([days, seconds, microseconds]) => new TimeDelta(days, seconds, microseconds));

/** What each serializer carries, and how many of it are sent. PyYAML takes a millisecond for each. */
export const CARRIED: readonly { name: string; count: number; values: fc.Arbitrary<unknown> }[] = [
  { name: "json", count: 7000, values: mostly(jsonValue, deep(fc.oneof(number, brokenText, typed), 300)) },
  { name: "msgpack", count: 6000, values: mostly(msgpackValue, deep(fc.oneof(number, text), 300)) },
  {
    name: "pickle",
    count: 5500,
    values: mostly(collections(fc.oneof(...atoms, brokenText, typed, timeDelta), "pickle"), deep(typed, 200)),
  },
  {
    name: "yaml",
    count: 1800,
    values: mostly(collections(fc.oneof(...atoms, yamlMoment), "YAML"), deep(yamlMoment, 30)),
  },
];

function mostly(values: fc.Arbitrary<unknown>, deepOnes: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 60, arbitrary: values }, { weight: 1, arbitrary: deepOnes });
}

/**
 * A value as `python/echo.py` describes it: the same text for the same value of the same type.
 * @param loose true for what becomes of a whole float that is not only forwarded: an integer
 */
export function described(value: unknown, loose = false): string {
  return JSON.stringify(description(value, loose));
}

function description(value: unknown, loose: boolean): unknown[] {
  if (value === null || value === undefined) return ["None"];
  if (typeof value === "boolean") return [value ? "True" : "False"];
  if (typeof value === "bigint") return ["int", String(value)];
  if (typeof value === "number") return isPythonInt(value) ? ["int", String(value)] : double(value);
  if (value instanceof Float) return loose ? description(value.value, loose) : double(value.value);
  if (typeof value === "string") return ["str", Buffer.from(value, "utf16le").toString("hex")];
  if (value instanceof Uint8Array) return ["bytes", Buffer.from(value).toString("hex")];
  const inner = (item: unknown): unknown[] => description(item, loose);
  if (Array.isArray(value)) return [value instanceof Tuple ? "tuple" : "list", Array.from(value, inner)];
  if (value instanceof Set)
    return [value instanceof FrozenSet ? "frozenset" : "set", ordered(Array.from(value, inner))];
  const pairs = (entries: Iterable<[unknown, unknown]>): unknown[][] =>
    Array.from(entries, ([key, item]) => [inner(key), inner(item)]);
  if (value instanceof OrderedDict) return ["OrderedDict", pairs(value)];
  if (value instanceof Map) return ["dict", ordered(pairs(value))];
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return ["dict", ordered(pairs(Object.entries(value)))];
  return ["repr", repr(value)];
}

function double(value: number): unknown[] {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return ["float", Number.isNaN(value) ? "nan" : bytes.toString("hex")];
}

function ordered(descriptions: unknown[][]): unknown[][] {
  const texts = descriptions.map((one) => ({ one, text: JSON.stringify(one) }));
  return texts.sort((a, b) => (a.text < b.text ? -1 : 1)).map(({ one }) => one);
}
