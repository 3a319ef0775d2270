import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { ContentDisallowed, DecodeError, EncodeError } from "../../protocol/errors.ts";
import { Float } from "../../protocol/python/numbers.ts";
import { loads, loadsForward } from "../../protocol/serialization/json-reader.ts";
import { msgpack } from "../../protocol/serialization/msgpack.ts";
import { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import { bigint, brokenText, damaged, msgpackValue, number, shape, typed } from "./values.ts";

const OWN_OF_PROTOTYPE = Object.getOwnPropertyNames(Object.prototype).sort();

afterEach(() => {
  expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(OWN_OF_PROTOTYPE);
});

/** The first bytes of values, and what may come after them. */
const heads = fc
  .array(
    fc.oneof(
      fc.constantFrom(0x00, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x91, 0x9f, 0xa0, 0xa1, 0xbf, 0xff),
      fc.integer({ min: 0xc0, max: 0xdf }),
      fc.constantFrom(0x01, 0x61, 0xc3, 0xa9, 0xed, 0x20),
    ),
    { maxLength: 40 },
  )
  .map((bytes) => Uint8Array.from(bytes));

/** A list within a list, so many times. */
function lists(depth: number): Uint8Array {
  return Uint8Array.from([...Array(depth).fill(0x91), 0x01]);
}

describe("a value in msgpack", () => {
  it("comes back as it went", () => {
    fc.assert(
      fc.property(msgpackValue, (value) => {
        expect(shape(msgpack.decode(msgpack.encode(value)))).toEqual(shape(value));
      }),
      { numRuns: 1500 },
    );
  });

  it("is written again byte for byte when it is only forwarded", () => {
    fc.assert(
      fc.property(msgpackValue, (value) => {
        const bytes = msgpack.encode(value);
        expect(msgpack.encode(msgpack.decodeForward?.(bytes))).toEqual(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  it("may have come in JSON, to be forwarded", () => {
    const text = '[{"2": 1.0, "1": [12345678901234567890, NaN]}, -0.0, 2.5]';
    expect(shape(msgpack.decode(msgpack.encode(loadsForward(text))))).toEqual(shape(loads(text)));
  });

  it("keeps a number's every bit, and an integer's every digit", () => {
    fc.assert(
      fc.property(number, bigint(-(2n ** 63n), 2n ** 64n - 1n), (value, integer) => {
        expect(msgpack.decode(msgpack.encode(value))).toBe(value);
        expect(BigInt(msgpack.decode(msgpack.encode(integer)) as number)).toBe(integer);
        expect(msgpack.decodeForward?.(msgpack.encode(integer))).not.toBeInstanceOf(Float);
        expect(Number(msgpack.decodeForward?.(msgpack.encode(new Float(value))))).toBe(value);
      }),
      { numRuns: 1500 },
    );
  });

  it("is refused where Python would refuse it", () => {
    const tooLarge = fc.oneof(fc.bigInt({ min: 2n ** 64n }), fc.bigInt({ max: -(2n ** 63n) - 1n }));
    const halves = brokenText.filter((text) => Buffer.from(text).toString() !== text);
    const typedValue = typed.filter((value) => !(value instanceof Uint8Array));
    fc.assert(
      fc.property(fc.oneof(tooLarge, halves, typedValue), (value) => {
        for (const whole of [value, [1, value], { key: value }]) {
          expect(() => msgpack.encode(whole)).toThrow(EncodeError);
        }
        if (typeof value === "string") expect(() => msgpack.encode({ [value]: 1 })).toThrow(EncodeError);
      }),
    );
  });

  it.each(["__proto__", "constructor", "hasOwnProperty"])("may have the key %s", (key) => {
    fc.assert(
      fc.property(msgpackValue, (value) => {
        const read = msgpack.decode(msgpack.encode(Object.fromEntries([[key, value]]))) as object;
        expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
        expect(Object.keys(read)).toEqual([key]);
        expect(shape(Object.getOwnPropertyDescriptor(read, key)?.value)).toEqual(shape(value));
      }),
    );
  });
});

describe("msgpack nested too deeply", () => {
  it("is refused, and read as deep as Python reads it", () => {
    expect(msgpack.decode(lists(1024))).toBeInstanceOf(Array);
    for (const depth of [1025, 100_000]) {
      expect(() => msgpack.decode(lists(depth))).toThrow(DecodeError);
      expect(() => msgpack.decode(lists(depth).slice(0, -1))).toThrow(DecodeError);
    }
    const dicts = Buffer.from("81a161".repeat(100_000), "hex");
    expect(() => msgpack.decode(dicts)).toThrow(DecodeError);
  });

  it("is not written", () => {
    let value: unknown = null;
    for (let i = 0; i < 100_000; i++) value = i % 2 ? [value] : { value };
    expect(() => msgpack.encode(value)).toThrow(EncodeError);
  });
});

describe("bytes that claim to be msgpack", () => {
  const registry = new SerializerRegistry();
  const accept = registry.accept(["msgpack"]);
  const bytes = fc.oneof(fc.uint8Array(), heads, damaged(msgpackValue.map((value) => msgpack.encode(value))));
  const contentType = fc.constantFrom("application/x-msgpack", "application/json", "application/nothing", "");

  it("are read, or refused by a documented error", () => {
    const read = { value: 0, refused: 0 };
    fc.assert(
      fc.property(bytes, contentType, fc.boolean(), (body, type, forward) => {
        try {
          registry.decode({ body, contentType: type, contentEncoding: "binary" }, accept, forward);
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

  it("give, where they are read, what can be written again", () => {
    fc.assert(
      fc.property(bytes, (body) => {
        let value: unknown;
        try {
          value = msgpack.decode(body);
        } catch {
          return;
        }
        expect(shape(msgpack.decode(msgpack.encode(value)))).toEqual(shape(value));
      }),
      { numRuns: 1500 },
    );
  });

  it("are refused where the text in them is not UTF-8", () => {
    for (const hex of ["a3eda080", "a1ff", "a2c328", "81a1ff01", "d901ff", `d9ff${"ff".repeat(255)}`]) {
      expect(() => msgpack.decode(Buffer.from(hex, "hex"))).toThrow(DecodeError);
    }
  });

  it("take no memory for what they only claim to hold", () => {
    const before = process.memoryUsage().rss;
    for (const head of ["dd01ffffff", "df01ffffff", "81a161dd01ffffff"]) {
      expect(() => msgpack.decode(Buffer.from(head.repeat(500), "hex"))).toThrow(DecodeError);
    }
    for (const head of ["c6ffffffff", "dbffffffff", "ddffffffff", "dfffffffff"]) {
      expect(() => msgpack.decode(Buffer.from(head, "hex"))).toThrow(DecodeError);
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });
});
