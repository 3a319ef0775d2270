import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { DecodeError, EncodeError } from "../../protocol/errors.ts";
import { Float } from "../../protocol/python/numbers.ts";
import { repr } from "../../protocol/python/repr.ts";
import { saferepr } from "../../protocol/python/saferepr.ts";
import { dumps } from "../../protocol/serialization/json-writer.ts";
import { yaml, yamlDumps, yamlLoads } from "../../protocol/serialization/yaml.ts";
import { vectors } from "../support/vectors.ts";
import { expectCleanPrototype, expectWithin, mutated } from "./mutations.ts";

afterEach(expectCleanPrototype);

const captured = [...vectors<{ text: string }>("yaml-values"), ...vectors<{ text: string }>("yaml-texts")]
  .map(({ text }) => Buffer.from(text))
  .filter((bytes) => bytes.length < 1000);

const atoms = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, -0, Number.NaN, Infinity, "__proto__", "", "yes", "1:30", "<<", "="),
  fc.integer(),
  fc.double(),
  fc.double().map((value) => new Float(value)),
  fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
  fc.string({ unit: "binary" }),
  fc.uint8Array(),
  fc.date({ noInvalidDate: true, min: new Date("0001-01-02"), max: new Date("9999-12-30") }),
);
const keys = atoms.filter((key) => !Object.is(key instanceof Float ? key.value : key, -0));

const { value: anything } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    atoms,
    fc.array(tie("value"), { maxLength: 5 }),
    fc.array(keys, { maxLength: 5 }).map((items) => new Set(items)),
    fc.array(fc.tuple(keys, tie("value")), { maxLength: 5 }).map((items) => new Map(items)),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 5 }),
  ),
}));

/** YAML's own words in any order: they come further into a reader than random characters do. */
const words = fc
  .array(
    fc.constantFrom(
      ..."[]{}:,-?&*!|>'\"%@`#~\n ".split(""),
      ...[
        "- ",
        "? ",
        ": ",
        "  ",
        "\n  ",
        "\n",
        "a",
        "&a ",
        "*a",
        "<<: ",
        "<<",
        "!!set ",
        "!!omap ",
        "!!binary ",
        "!!int ",
        "!foo ",
      ],
      ...[
        "1",
        "0x1",
        "1:30",
        "yes",
        "null",
        "2031-05-06",
        "---\n",
        "...\n",
        "=",
        "__proto__: ",
        '"\\x41"',
        "|\n",
        ">-\n",
      ],
    ),
    { maxLength: 25 },
  )
  .map((parts) => Buffer.from(parts.join("")));

/** What reads YAML gives a value that everything can look at, or says that it is none. */
function readOrRefused(bytes: Uint8Array): boolean {
  for (const read of [yaml.decode, yaml.decodeForward ?? yaml.decode]) {
    let value: unknown;
    try {
      value = read(bytes);
    } catch (error) {
      if (error instanceof DecodeError) return false;
      throw error;
    }
    repr(value);
    saferepr(value, 1024);
    written(() => dumps(value));
    written(() => yaml.encode(value));
  }
  return true;
}

function written(write: () => unknown): void {
  try {
    write();
  } catch (error) {
    if (!(error instanceof EncodeError)) throw error;
  }
}

/** What a value is after YAML: sets and dicts in one form, whatever made them. */
function shown(value: unknown): string {
  return repr(yamlLoads(yamlDumps(value), true));
}

describe("a value in YAML", () => {
  it("comes back as it went", () => {
    fc.assert(
      fc.property(anything, (value) => {
        expect(shown(yamlLoads(yamlDumps(value), true))).toBe(shown(value));
      }),
      { numRuns: 1000 },
    );
  });

  it("is text that is read as nothing else", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (value) => {
        expect(yamlLoads(yamlDumps(value))).toBe(value);
        expect(yamlLoads(yamlDumps({ [value]: 1 }))).toEqual({ [value]: 1 });
      }),
      { numRuns: 2000 },
    );
  });
});

describe("bytes that are no YAML", () => {
  it.each([
    ["a document that was damaged", mutated(captured), 500],
    ["words in any order", words, 100],
    ["random text", fc.string({ unit: "binary" }).map((text) => Buffer.from(text)), 100],
    ["random bytes", fc.uint8Array({ maxLength: 100 }), 0],
  ])("are refused by a DecodeError, or read: %s", (_, bytes, atLeast) => {
    let read = 0;
    fc.assert(
      fc.property(bytes, (body) => {
        if (expectWithin(2000, () => readOrRefused(body))) read++;
      }),
      { numRuns: 4000 },
    );
    // Were nothing read, the property would look at nothing but the first character.
    expect(read).toBeGreaterThanOrEqual(atLeast);
  });
});

describe("a hostile document", () => {
  const lines = (count: number, line: (n: number) => string): string =>
    Array.from({ length: count }, (_, n) => line(n)).join("\n");
  const hostile: [what: string, why: RegExp, text: () => string][] = [
    ["lists within lists", /too deeply/, () => "[".repeat(100_000)],
    ["dicts within dicts", /too deeply/, () => "{a: ".repeat(50_000)],
    ["items within items", /too deeply/, () => "- ".repeat(50_000)],
    ["keys within keys", /too deeply/, () => "? ".repeat(50_000)],
    [
      "aliases of aliases",
      /more than 1000000 parts/,
      () => `a0: &a0 [x]\n${lines(40, (n) => `a${n + 1}: &a${n + 1} [*a${n}, *a${n}]`)}`,
    ],
    [
      "merges of merges",
      /more than 1000000 parts/,
      () => `a0: &a0 {x: 1}\n${lines(40, (n) => `a${n + 1}: &a${n + 1} {<<: [*a${n}, *a${n}]}`)}`,
    ],
    ["a list that holds itself", /holds itself/, () => "&a [*a]"],
    ["a dict that holds itself", /holds itself/, () => "&a {b: *a}"],
    ["a dict merged into itself", /holds itself/, () => "&a {<<: *a}"],
    ["an integer of a million digits", /int/, () => `!!int ${"9".repeat(1_000_000)}`],
    ["a float of a million digits", /float/, () => `!!float ${"9".repeat(1_000_000)}`],
    ["a number of a million parts", /int/, () => `!!int 1${":0".repeat(500_000)}`],
    ["a Python object", /python\/object\/apply:os\.system/, () => "!!python/object/apply:os.system ['echo']"],
    ["a Python name", /python\/name:os\.system/, () => "!!python/name:os.system ''"],
    ["a tag of somebody's own", /!shop/, () => "!shop {}"],
    ["two documents", /single document/, () => "--- 1\n--- 2"],
  ];

  it.each(hostile)("is refused at once: %s", (_, why, text) => {
    const body = Buffer.from(text());
    const read = (): unknown => yaml.decode(body);
    expectWithin(8000, () => expect(read).toThrow(why));
    expect(read).toThrow(DecodeError);
  });

  it("does not reach the prototype", () => {
    const value = yamlLoads("__proto__: {polluted: true}\na: {<<: {__proto__: {polluted: true}}}") as { a: object };
    for (const object of [value, value.a]) {
      expect((object as { polluted?: unknown }).polluted).toBeUndefined();
      expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
      expect(Object.keys(object)).toContain("__proto__");
    }
  });

  it("cannot be written either: a value that holds itself, one nested too deeply, one that YAML has no form for", () => {
    const circle: unknown[] = [];
    circle.push(circle);
    expect(() => yaml.encode(circle)).toThrow(EncodeError);
    let deep: unknown = null;
    for (let level = 0; level < 100_000; level++) deep = [deep];
    expect(() => yaml.encode(deep)).toThrow(EncodeError);
    expect(() => yaml.encode(() => 1)).toThrow(EncodeError);
    expect(() => yaml.encode(new Map([[[1], 2]]))).toThrow("cannot be a key");
    expect(() => yaml.encode(new (class Shop {})())).toThrow("Shop");
  });
});
