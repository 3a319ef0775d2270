import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { DecodeError, EncodeError } from "../../protocol/errors.ts";
import { FrozenSet, OrderedDict, tuple } from "../../protocol/python/collections.ts";
import { Decimal } from "../../protocol/python/decimal.ts";
import { Float } from "../../protocol/python/numbers.ts";
import { repr } from "../../protocol/python/repr.ts";
import { saferepr } from "../../protocol/python/saferepr.ts";
import { TimeDelta } from "../../protocol/python/timedelta.ts";
import { UUID } from "../../protocol/python/uuid.ts";
import { dumps } from "../../protocol/serialization/json-writer.ts";
import { OP } from "../../protocol/serialization/pickle/opcodes.ts";
import { pickle } from "../../protocol/serialization/pickle.ts";
import { vectors } from "../support/vectors.ts";
import { expectCleanPrototype, expectWithin, mutated } from "./mutations.ts";

afterEach(expectCleanPrototype);

const captured = vectors<{ bytes: string }>("pickle-values")
  .map(({ bytes }) => Buffer.from(bytes, "base64"))
  .filter((bytes) => bytes.length < 2000);

const atoms = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, -0, Number.NaN, Infinity, "__proto__", ""),
  fc.integer(),
  fc.double(),
  fc.double().map((value) => new Float(value)),
  fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
  fc.string({ unit: "binary" }),
  fc.uint8Array(),
  fc.date({ noInvalidDate: true, min: new Date("0001-01-02"), max: new Date("9999-12-30") }),
  fc.integer().map((value) => new TimeDelta(value % 1000, value)),
  fc.uuid().map((value) => new UUID(value)),
  fc.integer().map((value) => new Decimal(value)),
);

/** A `Map` has no `-0`, or should have none. */
const keys = atoms.filter((key) => !Object.is(key instanceof Float ? key.value : key, -0));

const { value: anything } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    atoms,
    fc.array(tie("value"), { maxLength: 5 }),
    fc.array(tie("value"), { maxLength: 5 }).map(tuple),
    fc.array(keys, { maxLength: 5 }).map((items) => new Set(items)),
    fc.array(keys, { maxLength: 5 }).map((items) => new FrozenSet(items)),
    fc.array(fc.tuple(keys, tie("value")), { maxLength: 5 }).map((items) => new Map(items)),
    fc.array(fc.tuple(keys, tie("value")), { maxLength: 5 }).map((items) => new OrderedDict(items)),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 5 }),
  ),
}));

/** Steps of a pickle in any order, with what may come after them: further than random bytes come. */
const steps = fc
  .array(
    fc.oneof(
      fc.constantFrom(...Object.values(OP)).map((code) => [code]),
      fc.constantFrom(...["c", "i"].map((code) => [...Buffer.from(`${code}builtins\nset\n`)])),
      fc.constantFrom(
        ...[
          "cdatetime\ntimedelta\n",
          "cuuid\nUUID\n",
          "ccollections\nOrderedDict\n",
          "cposix\nsystem\n",
          "cbuiltins\nValueError\n",
        ].map((text) => [...Buffer.from(text)]),
      ),
      fc.constantFrom(
        [0x4b, 1],
        [0x8c, 1, 0x61],
        [0x71, 0],
        [0x68, 0],
        [0x49, 0x31, 0x0a],
        [0x8c, 3, 0x69, 0x6e, 0x74],
      ),
      fc.integer({ min: 0, max: 255 }).map((byte) => [byte]),
    ),
    { maxLength: 30 },
  )
  .map((parts) => Uint8Array.from([...parts.flat(), OP.STOP]));

/** What reads a pickle gives a value that everything can look at, or says that it is none. */
function readOrRefused(bytes: Uint8Array): boolean {
  for (const read of [pickle.decode, pickle.decodeForward ?? pickle.decode]) {
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
    written(() => pickle.encode(value));
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

describe("a value in pickle", () => {
  it("comes back as it went", () => {
    fc.assert(
      fc.property(anything, (value) => {
        expect(repr(pickle.decodeForward?.(pickle.encode(value)))).toBe(repr(value));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("bytes that are no pickle", () => {
  it.each([
    ["a pickle that was damaged", mutated(captured), 500],
    ["steps in any order", steps, 50],
    ["random bytes", fc.uint8Array({ maxLength: 100 }), 0],
  ])("are refused by a DecodeError, or read: %s", (_, bytes, atLeast) => {
    let read = 0;
    fc.assert(
      fc.property(bytes, (body) => {
        if (expectWithin(2000, () => readOrRefused(body))) read++;
      }),
      { numRuns: 5000 },
    );
    // Were nothing read, the property would look at nothing but the first byte.
    expect(read).toBeGreaterThanOrEqual(atLeast);
  });
});

describe("a hostile pickle", () => {
  const hostile: [what: string, why: RegExp, bytes: () => Uint8Array][] = [
    ["lists within lists", /too deeply/, () => Buffer.from(`${"(".repeat(200_000)}${"l".repeat(200_000)}.`)],
    [
      "tuples within tuples",
      /too deeply/,
      () => Buffer.concat([Buffer.from(")"), Buffer.alloc(200_000, OP.TUPLE1), Buffer.from(".")]),
    ],
    ["marks alone", /truncated/, () => Buffer.alloc(1_000_000, "(")],
    ["a list that holds itself", /holds itself/, () => Buffer.from("]q\x00h\x00a.", "latin1")],
    ["a dict that holds itself", /holds itself/, () => Buffer.from("}q\x00K\x01h\x00s.", "latin1")],
    [
      "doublings without end",
      /more than 1000000 parts/,
      () => Buffer.from(`]${"q\x00(h\x00h\x00l".repeat(40)}.`, "latin1"),
    ],
    [
      "a length beyond the end",
      /truncated/,
      () => Buffer.from([OP.BINBYTES8, 255, 255, 255, 255, 255, 255, 255, 127, OP.STOP]),
    ],
    [
      "an integer of a megabyte",
      /too long/,
      () => Buffer.concat([Buffer.from([OP.LONG4, 0, 0, 16, 0]), Buffer.alloc(1 << 20, 7)]),
    ],
    ["an integer of a million digits", /integer/, () => Buffer.from(`L${"9".repeat(1_000_000)}L\n.`)],
    ["a float of a million digits", /float/, () => Buffer.from(`F${"9".repeat(1_000_000)}x\n.`)],
    [
      "a decimal of a million digits",
      /decimal/,
      () => Buffer.from(`cdecimal\nDecimal\n(V${"9".repeat(1_000_000)}x\ntR.`),
    ],
    ["a million backslashes", /truncated/, () => Buffer.from(`V${"\\".repeat(1_000_000)}\n`)],
    ["a class as a value", /builtins\.set as a value/, () => Buffer.from("cbuiltins\nset\n.")],
    ["a class as a key", /builtins\.set as a value/, () => Buffer.from("(cbuiltins\nset\nNd.")],
    ["a protocol to come", /protocol: 6/, () => Buffer.from([OP.PROTO, 6, OP.NONE, OP.STOP])],
    ["a persistent id", /persistent ids/, () => Buffer.from("Pabc\n.")],
    ["nothing", /truncated/, () => Buffer.from("")],
    ["a stop alone", /underflow/, () => Buffer.from(".")],
  ];

  it.each(hostile)("is refused at once: %s", (_, why, bytes) => {
    const body = bytes();
    const read = (): unknown => pickle.decode(body);
    expectWithin(5000, () => expect(read).toThrow(why));
    expect(read).toThrow(DecodeError);
  });

  it("does not reach the prototype", () => {
    const value = pickle.decode(pickle.encode(new Map([["__proto__", { polluted: true }]]))) as object;
    expect(Object.keys(value)).toEqual(["__proto__"]);
    expect((value as { polluted?: unknown }).polluted).toBeUndefined();
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  it("cannot be written either: a value that holds itself, one nested too deeply", () => {
    const circle: unknown[] = [];
    circle.push(circle);
    expect(() => pickle.encode(circle)).toThrow(EncodeError);
    let deep: unknown = null;
    for (let level = 0; level < 100_000; level++) deep = [deep];
    expect(() => pickle.encode(deep)).toThrow(EncodeError);
    expect(() => pickle.encode(() => 1)).toThrow(EncodeError);
    expect(() => pickle.encode(new (class Shop {})())).toThrow("Shop");
  });
});
