import fc from "fast-check";
import { DateTime, PlainDate, PlainTime } from "../../protocol/python/datetime.ts";
import { Decimal } from "../../protocol/python/decimal.ts";
import { Float } from "../../protocol/python/numbers.ts";
import { UUID } from "../../protocol/python/uuid.ts";
import { isTypedValue } from "../../protocol/serialization/typed-values.ts";

/** Keys that JavaScript or the wire gives a meaning of their own. */
const TRICKY_KEYS = ["__proto__", "constructor", "hasOwnProperty", "toString", "toJSON", "__type__", "__value__", "0"];

/** Numbers where the two languages part: around 2^53, beyond it, negative zero, what is not finite. */
export const number: fc.Arbitrary<number> = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  nearby(2n ** 53n).map(Number),
  fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e15, 1e16, 1e21, 5e-324),
);

/** Integers within these bounds, the bounds of other languages' integers among them. */
export function bigint(min: bigint, max: bigint): fc.Arbitrary<bigint> {
  const edges = [0n, 2n ** 31n, 2n ** 53n, 2n ** 63n, 2n ** 64n].flatMap((edge) => [edge, -edge]).map(nearby);
  const within = fc.oneof(...edges).filter((value) => value >= min && value <= max);
  return fc.oneof(fc.bigInt({ min, max }), within);
}

function nearby(edge: bigint): fc.Arbitrary<bigint> {
  return fc.bigInt({ min: -3n, max: 3n }).map((distance) => edge + distance);
}

/** Text of whole characters: everything that UTF-8 can carry. */
export const text: fc.Arbitrary<string> = fc.oneof(fc.string(), fc.string({ unit: "binary" }));

/** Text that may hold halves of characters, as JavaScript's and Python's strings can. */
export const brokenText: fc.Arbitrary<string> = fc.string({
  unit: fc
    .oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd800, max: 0xdfff }))
    .map(String.fromCharCode),
});

const digits = (most: number, width: number): fc.Arbitrary<string> =>
  fc.integer({ min: 0, max: most }).map((value) => String(value).padStart(width, "0"));

const dateText = fc
  .date({ min: new Date("0001-01-02T00:00:00Z"), max: new Date("9999-12-30T00:00:00Z"), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10));

const offset = fc.oneof(
  fc.constantFrom("", "+00:00", "Z"),
  fc.tuple(fc.constantFrom("+", "-"), digits(23, 2), digits(59, 2)).map(([sign, ...parts]) => sign + parts.join(":")),
  fc
    .tuple(
      fc.constantFrom("+", "-"),
      digits(23, 2),
      digits(59, 2),
      digits(59, 2),
      fc.constantFrom("", ".000001", ".500000"),
    )
    .map(([sign, hours, minutes, seconds, rest]) => `${sign}${hours}:${minutes}:${seconds}${rest}`)
    // Python 3.11 forgets the microseconds of an offset that is less than a second.
    .filter((written) => !/00:00:00\.\d/.test(written)),
);

const timeText = fc
  .tuple(digits(23, 2), digits(59, 2), digits(59, 2), fc.oneof(fc.constant(""), digits(999_999, 6)), offset)
  .map(([hour, minute, second, fraction, zone]) => `${hour}:${minute}:${second}${fraction && `.${fraction}`}${zone}`);

export const decimal: fc.Arbitrary<Decimal> = fc
  .oneof(
    fc.stringMatching(/^[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,3})?$/),
    fc.constantFrom("NaN", "sNaN", "nan12", "Infinity", "-inf", "-0", "0E-7", "0e9", "1_0".replace("_", "")),
  )
  .map((written) => new Decimal(written));

/** What kombu's JSON carries as typed values. */
export const typed: fc.Arbitrary<object> = fc.oneof(
  fc.tuple(dateText, timeText).map(([date, time]) => new DateTime(`${date}T${time}`)),
  dateText.map((date) => new PlainDate(date)),
  timeText.map((time) => new PlainTime(time)),
  decimal,
  fc.uuid().map((id) => new UUID(id)),
  fc.uint8Array(),
  text.map((written) => new TextEncoder().encode(written)),
);

/** Lists and dicts of such values, some levels deep. */
export function nested(leaf: fc.Arbitrary<unknown>, key: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  const keys = fc.oneof(fc.constantFrom(...TRICKY_KEYS), key);
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      leaf,
      fc.array(tie("value"), { maxLength: 6 }),
      fc
        .array(fc.tuple(keys, tie("value")), { maxLength: 6 })
        .map((entries) => Object.fromEntries(entries))
        .filter((dict) => !isTypedValue(dict)),
    ),
  }));
  return value;
}

/** Every value that the JSON serializer writes. */
export const jsonValue: fc.Arbitrary<unknown> = nested(
  fc.oneof(
    fc.constantFrom(null, true, false),
    number,
    number.map((value) => new Float(value)),
    bigint(-(2n ** 200n), 2n ** 200n),
    text,
    brokenText,
    typed,
  ),
  fc.oneof(text, brokenText),
);

/** Every value that the msgpack serializer writes. */
export const msgpackValue: fc.Arbitrary<unknown> = nested(
  fc.oneof(
    fc.constantFrom(null, true, false),
    number,
    number.map((value) => new Float(value)),
    bigint(-(2n ** 63n), 2n ** 64n - 1n),
    text,
    fc.uint8Array(),
  ),
  text,
);

/**
 * A value in a form that shows all that must survive the wire, and nothing that need not: a whole `Float` comes back as a
 * number, and so does a `bigint` that a double holds.
 */
export function shape(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Float) return value.value;
  if (value instanceof DateTime) return { datetime: value.isoFormat(), time: value.getTime() };
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map(shape);
  const kind = Object.getPrototypeOf(value)?.constructor.name ?? "Object";
  return { [kind]: Object.entries(value).map(([key, item]) => [key, shape(item)]) };
}

/** Bytes with some of them changed, doubled, left out or cut off. */
export function damaged(bytes: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const blow = fc.record({
    kind: fc.constantFrom("change", "insert", "remove", "cut", "double"),
    at: fc.nat(),
    byte: fc.integer({ min: 0, max: 255 }),
  });
  return fc.tuple(bytes, fc.array(blow, { minLength: 1, maxLength: 4 })).map(([whole, blows]) => {
    const out = [...whole];
    for (const { kind, at, byte } of blows) {
      const place = at % (out.length + 1);
      if (kind === "change") out[place] = byte;
      else if (kind === "insert") out.splice(place, 0, byte);
      else if (kind === "remove") out.splice(place, 1);
      else if (kind === "cut") out.length = place;
      else out.splice(place, 0, ...out.slice(place, place + 16));
    }
    return Uint8Array.from(out);
  });
}
