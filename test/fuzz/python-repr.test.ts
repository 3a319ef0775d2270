import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { PythonClient } from "../../interop/python.ts";
import { Float } from "../../protocol/python/numbers.ts";
import { repr } from "../../protocol/python/repr.ts";
import { argsRepr, saferepr } from "../../protocol/python/saferepr.ts";
import { loadsForward } from "../../protocol/serialization/json-reader.ts";
import { dumpString, dumps } from "../../protocol/serialization/json-writer.ts";
import { brokenText, jsonValue, nested, number, text, typed } from "./values.ts";

/** Reads values as kombu does, and gives what Python shows of each. */
const ORACLE = `
from kombu.utils.json import loads
from celery.utils.saferepr import saferepr
from unicodedata import category

def shown(text, length):
    value = loads(text)
    args = tuple(value) if isinstance(value, list) else (value,)
    return [repr(value), saferepr(value, maxlen=length), saferepr(args, maxlen=length)]

result = [code for code in range(0x110000) if category(chr(code)) == "Cn"]
`;

describe.skipIf(!inject("python"))("what Python shows of a value", () => {
  let python: PythonClient;
  /** Characters that one side knows and the other does not, being of an older Unicode. */
  const disputed = new Set<string>();

  beforeAll(async () => {
    python = new PythonClient({
      python: inject("python"),
      broker: "memory://",
      backend: "cache+memory://",
      queue: "celery",
    });
    const unassigned = new Set(await python.run<number[]>(ORACLE));
    for (let code = 0; code <= 0x10ffff; code++) {
      const char = String.fromCodePoint(code);
      if (unassigned.has(code) !== /\p{Cn}/u.test(char)) disputed.add(char);
    }
  });

  afterAll(() => python[Symbol.asyncDispose]());

  const undisputed = fc
    .oneof(text, brokenText, fc.string({ unit: "grapheme" }))
    .map((given) => [...given].filter((char) => !disputed.has(char)).join(""));
  const leaf = fc.oneof(
    fc.constantFrom(null, true, false),
    number,
    number.map((value) => new Float(value)),
    undisputed,
    typed,
  );
  const value = fc.oneof(leaf, nested(leaf, undisputed));

  it("is what repr and saferepr show", async () => {
    const length = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 200 }));
    await fc.assert(
      fc.asyncProperty(value, length, async (given, most) => {
        const written = dumps(given);
        const shown = await python.run<string[]>(`shown(${dumpString(written)}, ${most || "None"})`);
        const read = loadsForward(written);
        const args = Array.isArray(read) ? read : [read];
        expect([repr(read), saferepr(read, most), argsRepr(args, most)]).toEqual(shown);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("repr", () => {
  it("shows anything at all", () => {
    const anything = fc.oneof(
      fc.anything({
        withBigInt: true,
        withDate: true,
        withMap: true,
        withSet: true,
        withTypedArray: true,
        withNullPrototype: true,
      }),
      fc.date().map((date) => new Date(date)),
      jsonValue.map((given) => loadsForward(dumps(given))),
    );
    fc.assert(
      fc.property(anything, fc.integer({ min: 0, max: 100 }), (given, length) => {
        expect(typeof repr(given)).toBe("string");
        expect(typeof saferepr(given, length)).toBe("string");
      }),
      { numRuns: 1000 },
    );
  });
});
