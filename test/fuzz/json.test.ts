import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { ContentDisallowed, DecodeError, EncodeError } from "../../protocol/errors.ts";
import { repr } from "../../protocol/python/repr.ts";
import { saferepr } from "../../protocol/python/saferepr.ts";
import { json } from "../../protocol/serialization/json.ts";
import { loads, loadsForward } from "../../protocol/serialization/json-reader.ts";
import { dumps } from "../../protocol/serialization/json-writer.ts";
import { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import { damaged, jsonValue, number, shape } from "./values.ts";

const OWN_OF_PROTOTYPE = Object.getOwnPropertyNames(Object.prototype).sort();

afterEach(() => {
  expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(OWN_OF_PROTOTYPE);
});

/** Texts of JSON's own words, right or wrong: they come further into a reader than random characters do. */
const words = fc
  .array(
    fc.constantFrom(
      ..."[]{},: \n".split(""),
      ...['"a"', '"__proto__"', '"1"', '"\\u0041"', '"\\', '"', '"__type__": ', '"__value__": '],
      ...[
        '{"__type__": 12345678901234567890, "__value__": 1}',
        '"datetime"',
        '"decimal"',
        '"uuid"',
        '"bytes"',
        '"base64"',
        '{"hex": ',
        '{"__type__": "',
      ],
      ...["true", "null", "NaN", "-Infinity", "-", "0", "-0", "-0.0", "1.5", "1e999", "9007199254740993", "123"],
    ),
    { maxLength: 24 },
  )
  .map((parts) => parts.join(""));

function outcome(read: () => unknown): unknown {
  try {
    return { value: shape(read()) };
  } catch (error) {
    if (error instanceof DecodeError) return "refused";
    throw error;
  }
}

describe("a value in JSON", () => {
  it("comes back as it went", () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        expect(shape(json.decode(json.encode(value)))).toEqual(shape(value));
      }),
      { numRuns: 1500 },
    );
  });

  it("is written again byte for byte when it is only forwarded", () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        const text = dumps(value);
        expect(dumps(loadsForward(text))).toBe(text);
      }),
      { numRuns: 1500 },
    );
  });

  it("keeps a number's every bit, and an integer's every digit", () => {
    fc.assert(
      fc.property(number, fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }), (value, integer) => {
        expect(loads(dumps(value))).toBe(value);
        expect(BigInt(loads(dumps(integer)) as number)).toBe(integer);
      }),
      { numRuns: 1500 },
    );
  });

  it.each(["__proto__", "constructor", "hasOwnProperty"])("may have the key %s", (key) => {
    fc.assert(
      fc.property(jsonValue, fc.constantFrom("1", "NaN", "12345678901234567890"), (value, other) => {
        const text = `{${JSON.stringify(key)}: ${dumps(value)}, "other": ${other}}`;
        const read = loads(text) as Record<string, unknown>;
        expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
        expect(Object.keys(read)).toEqual([key, "other"]);
        expect(shape(Object.getOwnPropertyDescriptor(read, key)?.value)).toEqual(shape(value));
        expect(dumps(loadsForward(text))).toBe(text);
      }),
    );
  });
});

describe("JSON nested too deeply", () => {
  const lists = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);

  it("is what neither side takes: what can be written can be read", () => {
    const deepest = loads(lists(2000));
    expect(dumps(deepest)).toBe(lists(2000));
    expect(dumps(loadsForward(lists(2000)))).toBe(lists(2000));
    expect(() => loads(lists(2001))).toThrow(DecodeError);
    expect(() => loadsForward(lists(2001))).toThrow(DecodeError);
    expect(() => dumps([deepest])).toThrow(EncodeError);
    const circle: unknown[] = [];
    circle.push({ circle });
    expect(() => dumps(circle)).toThrow(EncodeError);
  });

  const cores = ["", "1", "NaN", "12345678901234567890", '{"__type__": "decimal", "__value__": "1"}'];
  const shapes = [
    ["[", "]"],
    ['{"a":', "}"],
    ['[0,{"1":', "},0]"],
    ['{"__type__":[', '],"__value__":1}'],
  ] as const;

  it.each(shapes.flatMap(([open, close]) => cores.map((core) => [open, core, close] as const)))(
    "is refused: %s%s%s",
    (open, core, close) => {
      for (const depth of [2_001, 100_000]) {
        const text = open.repeat(depth) + (core || "[]") + close.repeat(depth);
        expect(() => loads(text)).toThrow(DecodeError);
        expect(() => loadsForward(text)).toThrow(DecodeError);
      }
    },
  );

  it("is refused unfinished", () => {
    expect(() => loads("[".repeat(5_000_000))).toThrow(DecodeError);
    for (const [open] of shapes) expect(() => loads(open.repeat(100_000))).toThrow(DecodeError);
  });
});

describe("bytes that claim to be JSON", () => {
  const registry = new SerializerRegistry();
  const accept = registry.accept(["json"]);
  const contentType = fc.constantFrom("application/json", "application/x-msgpack", "application/nothing", "");
  const contentEncoding = fc.constantFrom("utf-8", "binary", "");
  const bytes = fc.oneof(
    fc.uint8Array(),
    words.map((text) => Buffer.from(text)),
    damaged(jsonValue.map((value) => json.encode(value))),
  );

  it("are read, or refused by a documented error", () => {
    const read = { value: 0, refused: 0 };
    fc.assert(
      fc.property(bytes, contentType, contentEncoding, fc.boolean(), (body, type, encoding, forward) => {
        try {
          registry.decode({ body, contentType: type, contentEncoding: encoding }, accept, forward);
          read.value++;
        } catch (error) {
          if (!(error instanceof DecodeError) && !(error instanceof ContentDisallowed)) throw error;
          read.refused++;
        }
      }),
      { numRuns: 1500 },
    );
    expect(Math.min(read.value, read.refused)).toBeGreaterThan(100);
  });

  it("give, where they are read, what can be shown and written again", () => {
    fc.assert(
      fc.property(bytes, fc.constantFrom(json.decode, json.decodeForward!), (body, decode) => {
        let value: unknown;
        try {
          value = decode(body);
        } catch {
          return;
        }
        dumps(value);
        repr(value);
        saferepr(value, 100);
      }),
      { numRuns: 1500 },
    );
  });

  it("are the same to the fast reader and the slow one", () => {
    fc.assert(
      fc.property(words, (text) => {
        const fast = outcome(() => (loads(`[${text}, 1]`) as unknown[])[0]);
        const slow = outcome(() => (loads(`[${text}, 12345678901234567890]`) as unknown[])[0]);
        expect(slow).toEqual(fast);
      }),
      { numRuns: 1500 },
    );
  });
});

describe("an integer of thousands of digits", () => {
  it("is read and written as far as Python does", () => {
    for (const sign of ["", "-"]) {
      const longest = sign + "9".repeat(4300);
      expect(dumps(loads(longest))).toBe(longest);
      expect(dumps(loadsForward(`${longest}9`))).toBe(`${longest}9`);
      expect(() => loads(`${longest}9`)).toThrow(DecodeError);
      expect(() => dumps(BigInt(`${longest}9`))).toThrow(EncodeError);
    }
  });
});

describe("a long text", () => {
  const LENGTH = 200_000;
  const types = ["datetime", "date", "time", "decimal", "uuid", "bytes", "base64", "other"];
  const parts = [..."1-+.:eZ{A ", "00:", "urn:", "-0", "\\\\", '\\"'];

  it.each(types)("in the place of a %s takes no longer than its length", (type) => {
    for (const part of parts) {
      const long = `"${part.repeat(LENGTH / part.length)}!"`;
      const started = performance.now();
      outcome(() => loads(`{"__type__": "${type}", "__value__": ${type === "uuid" ? `{"hex": ${long}}` : long}}`));
      expect(performance.now() - started).toBeLessThan(1000);
    }
  });

  it.each(["1", "1.", "-", "1e", "0.1", " ", "\t\n", '"\\', '\\"', '""', "[,", "{:"])(
    "of %j takes no longer than its length",
    (part) => {
      for (const text of [part.repeat(LENGTH), `"${part.repeat(LENGTH)}`, `{"a": ${part.repeat(LENGTH)}}`]) {
        const started = performance.now();
        outcome(() => loads(text));
        outcome(() => loadsForward(text));
        expect(performance.now() - started).toBeLessThan(1000);
      }
    },
  );
});
