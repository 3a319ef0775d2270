import { loads } from "../../../protocol/serialization/json-reader.ts";
import { RawJson } from "../../../protocol/serialization/raw-json.ts";
import type { Random } from "./random.ts";

type Path = readonly string[];

const NESTED = loads("[".repeat(400) + "]".repeat(400));
const LINKS = loads(`${'{"task": "t", "options": {"link": '.repeat(150)}1${"}}".repeat(150)}`);

/** What no reader expects: of another kind, out of bounds, nested, named as what must not be touched. */
const JUNK: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1.5, Number.NaN, Infinity, -Infinity, 1e300, -0, 2 ** 53, 2n ** 64n, -(2n ** 70n)],
  ...["", "x", "0", "\0", "../../x", "__proto__", "constructor", "\ud800", "ü😀", "x".repeat(5000), "%s%n", "a\nb"],
  ...[[], {}, [[]], [null], [[], {}], [1, 2, 3], { a: 1 }, { toString: null, valueOf: 1 }, { length: 1e9 }],
  ...["2031-05-06", "9999-12-31T23:59:59.999999", "0001-01-01T00:00:00+14:00", "2031-05-06T07:08:09Z", "yesterday"],
  ...["gzip", "application/x-bz2", "application/x-lzma", "application/x-brotli", "zstd", "identity"],
  ...[NESTED, LINKS, new RawJson("1.0"), new RawJson('{"1": 1.0, "0": NaN, "1": 2}')],
  ...["datetime", "date", "time", "decimal", "uuid", "bytes", "base64", "x"].map((type) => typed(type, "x")),
  ...[typed("datetime", "2031-05-06T07:08:09.123456+02:00"), typed("decimal", "1E+1000000"), typed("base64", "AAE=")],
  ...[
    JSON.parse('{"__proto__": {"polluted": true}, "a": 1}'),
    JSON.parse('{"constructor": {"prototype": {"polluted": 1}}}'),
  ],
];

function typed(type: string, value: unknown): object {
  return { __type__: type, __value__: value };
}

/** A copy with one to four of its parts replaced by junk or by each other, taken out, or added to. */
export function shuffled(value: unknown, random: Random): unknown {
  let out = value;
  for (let changes = 0; changes < 4 && (changes === 0 || random.chance(0.35)); changes++) {
    const all = paths(out);
    const path = random.pick(all);
    if (path.length === 0 && !random.chance(0.05)) continue;
    const other = random.chance(0.2) ? at(out, random.pick(all)) : random.pick(JUNK);
    out = random.chance(0.1)
      ? added(out, path, other, random)
      : replaced(out, path, random.chance(0.1) ? undefined : other);
  }
  return out;
}

/** The paths to all parts of a value, but for those of what is nested without an end. */
function paths(value: unknown, path: Path = []): Path[] {
  if (!isContainer(value) || path.length > 7) return [path];
  return [path, ...Object.keys(value).flatMap((key) => paths(value[key], [...path, key]))];
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((part, key) => (isContainer(part) ? part[key] : undefined), value);
}

/** @param other undefined to leave the part out */
function replaced(value: unknown, [key, ...rest]: Path, other: unknown): unknown {
  if (key === undefined || !isContainer(value)) return other;
  const entries = Object.entries(value).map(([name, item]): [string, unknown] =>
    name === key ? [name, replaced(item, rest, other)] : [name, item],
  );
  const kept = entries.filter(([, item]) => item !== undefined);
  return Array.isArray(value) ? kept.map(([, item]) => item) : Object.fromEntries(kept);
}

/** With one more item, or a key that nobody asked for, in the container at a path. */
function added(value: unknown, path: Path, other: unknown, random: Random): unknown {
  const container = at(value, path);
  if (!isContainer(container)) return replaced(value, path, other);
  const more = Array.isArray(container)
    ? [...container, other]
    : Object.fromEntries([
        ...Object.entries(container),
        [random.pick(["__proto__", "constructor", "1", "x", "task"]), other],
      ]);
  return replaced(value, path, more);
}

function isContainer(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}
