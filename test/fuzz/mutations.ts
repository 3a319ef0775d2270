import fc from "fast-check";
import { expect } from "vitest";

const OWN_OF_PROTOTYPE = Object.getOwnPropertyNames(Object.prototype).sort();

/** One thing that happens to bytes on their way. */
interface Blow {
  kind: "change" | "insert" | "remove" | "cut" | "double";
  at: number;
  byte: number;
}

const blow: fc.Arbitrary<Blow> = fc.record({
  kind: fc.constantFrom("change", "insert", "remove", "cut", "double"),
  at: fc.nat(),
  byte: fc.integer({ min: 0, max: 255 }),
});

/** One of these, with a few of its bytes changed, put in, taken out, cut off or doubled. */
export function mutated(originals: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(fc.constantFrom(...originals), fc.array(blow, { minLength: 1, maxLength: 5 }))
    .map(([original, blows]) => Uint8Array.from(blows.reduce(struck, [...original])));
}

function struck(bytes: number[], { kind, at, byte }: Blow): number[] {
  const place = at % (bytes.length + 1);
  if (kind === "cut") return bytes.slice(0, place);
  const piece = { change: [byte], insert: [byte], remove: [], double: bytes.slice(place, place + 24) }[kind];
  const gone = kind === "change" || kind === "remove" ? 1 : 0;
  return [...bytes.slice(0, place), ...piece, ...bytes.slice(place + gone)];
}

/** Fails when something reached the prototype of all objects; run it after each property. */
export function expectCleanPrototype(): void {
  expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(OWN_OF_PROTOTYPE);
}

/** Fails when one call takes longer: what is hostile has to be refused before it costs much. @param ms milliseconds */
export function expectWithin<T>(ms: number, call: () => T): T {
  const started = performance.now();
  try {
    return call();
  } finally {
    expect(performance.now() - started).toBeLessThan(ms);
  }
}
