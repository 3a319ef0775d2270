import { inspect, isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { dumps } from "../protocol/serialization/json-writer.ts";
import {
  type Celery,
  DateTime,
  Decimal,
  EncodeError,
  Float,
  PlainDate,
  PlainTime,
  type Self,
  UUID,
} from "../src/index.ts";
import { testApp } from "../test/support/app.ts";
import { eventually } from "../test/support/eventually.ts";
import { PythonClient, PythonWorker } from "./python.ts";
import { type Sides, sidesOf, transports } from "./transports.ts";

const python = inject("python");
const within = { timeout: 20 };

/** Some hundred values a run: each run is a list of them, on its way in one message. */
const runs = { numRuns: 6, endOnFailure: true };

describe.skipIf(!python)("values (needs Python 3)", () => {
  let sides: Sides;
  let app: Celery;
  let client: PythonClient;
  let worker: PythonWorker;
  let redis: Redis;
  /** A queue that nobody takes from, so that the messages in it can be looked at. */
  let held: string;

  beforeAll(async () => {
    const [transport] = transports();
    if (!transport) throw new Error("there is no Redis");
    sides = sidesOf(transport, python);
    // Both sides take msgpack when it comes.
    for (const settings of [sides.settings, sides.python.settings]) {
      Object.assign(settings ?? {}, { accept_content: ["json", "msgpack"] });
    }
    held = `held-${sides.queues.python}`;
    redis = new Redis(inject("redisUrl"));
    const test = testApp(sides.settings);
    app = test.app;
    serve(app, held);
    client = new PythonClient(sides.python);
    const prepared = client.run(inPython(sides, held));
    [worker] = await Promise.all([PythonWorker.start(sides.python), test.start(), prepared]);
  });

  afterAll(async () => {
    await redis?.del(held);
    redis?.disconnect();
    await Promise.all([app?.close(), client?.[Symbol.asyncDispose](), worker?.[Symbol.asyncDispose]()]);
  });

  /** A task of Python's, with one value for it. */
  async function ask(name: "describe" | "echo", value: unknown, serializer = "json"): Promise<unknown> {
    return (await app.sendTask(`tasks.${name}`, [value], { queue: sides.queues.python, serializer })).get(within);
  }

  describe("from TypeScript, as Python sees them and gives them back:", () => {
    it.each<[string, unknown, string]>([
      ["an integer", -5, "-5"],
      ["the largest safe integer", Number.MAX_SAFE_INTEGER, "9007199254740991"],
      ["a bigint", 2n ** 70n, "1180591620717411303424"],
      ["a bigint below zero", -(2n ** 64n), "-18446744073709551616"],
      ["a float", 1.5, "1.5"],
      ["a small float", 5e-324, "5e-324"],
      ["a float beyond 2^53", 1e22, "1e+22"],
      ["NaN", Number.NaN, "nan"],
      ["Infinity", Number.POSITIVE_INFINITY, "inf"],
      ["-Infinity", Number.NEGATIVE_INFINITY, "-inf"],
      ["-0", -0, "-0.0"],
      ["null", null, "None"],
      ["true", true, "True"],
      ["text", "grüße 😀 \u0000 \ud800", "'grüße 😀 \\x00 \\ud800'"],
      [
        "a DateTime with an offset",
        new DateTime("2031-05-06T07:08:09.123456+05:30"),
        "datetime.datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=datetime.timezone(datetime.timedelta(seconds=19800)))",
      ],
      ["a DateTime without", new DateTime("2031-05-06T07:08:09.000001"), "datetime.datetime(2031, 5, 6, 7, 8, 9, 1)"],
      ["a PlainDate", new PlainDate("2031-05-06"), "datetime.date(2031, 5, 6)"],
      ["a PlainTime", new PlainTime("07:08:09.123456"), "datetime.time(7, 8, 9, 123456)"],
      ["a Decimal", new Decimal("1.10"), "Decimal('1.10')"],
      ["a UUID", new UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), "UUID('6ba7b810-9dad-11d1-80b4-00c04fd430c8')"],
      ["bytes that are text", new TextEncoder().encode("grüße"), "b'gr\\xc3\\xbc\\xc3\\x9fe'"],
      ["bytes that are none", new Uint8Array([0, 255]), "b'\\x00\\xff'"],
      ["a list", [1, [2, []], {}], "[1, [2, []], {}]"],
      ["an object", { a: { b: null }, "": 1 }, "{'a': {'b': None}, '': 1}"],
    ])("%s", async (_, value, seen) => {
      const [described, echoed] = await Promise.all([ask("describe", value), ask("echo", value)]);
      expect(described).toBe(seen);
      expect(Object.getPrototypeOf(echoed ?? {})).toBe(Object.getPrototypeOf(value ?? {}));
      expect(dumps(echoed)).toBe(dumps(value));
    });

    it.each<[string, unknown, string, unknown]>([
      ["a Float is a float, and comes back as a number", new Float(1), "1.0", 1],
      ["undefined is None", undefined, "None", null],
      ["undefined in a list is None", [undefined, 1], "[None, 1]", [null, 1]],
      ["undefined in an object is left out", { a: undefined, b: 1 }, "{'b': 1}", { b: 1 }],
      [
        "a Date is an aware datetime in UTC, and comes back as a DateTime",
        new Date(Date.UTC(2031, 4, 6, 7, 8, 9, 120)),
        "datetime.datetime(2031, 5, 6, 7, 8, 9, 120000, tzinfo=datetime.timezone.utc)",
        new DateTime("2031-05-06T07:08:09.120000+00:00"),
      ],
    ])("%s", async (_, value, seen, back) => {
      const [described, echoed] = await Promise.all([ask("describe", value), ask("echo", value)]);
      expect([described, dumps(echoed)]).toEqual([seen, dumps(back)]);
    });

    it("anything that JSON can hold", { timeout: 120_000 }, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(json, { minLength: 40, maxLength: 80 }), async (values) => {
          const echoed = await ask("echo", values);
          expect(dumps(echoed)).toBe(dumps(values));
          expect(isDeepStrictEqual(echoed, values)).toBe(true);
        }),
        runs,
      );
    });

    it.each([
      ["a Set", new Set([1])],
      ["a function", () => 1],
      ["a symbol", Symbol("s")],
      ["an instance of a class", new (class Order {})()],
    ])("not %s: sending it rejects", async (_, value) => {
      await expect(ask("echo", value)).rejects.toBeInstanceOf(EncodeError);
    });
  });

  describe("from Python, as TypeScript sees them and gives them back:", () => {
    it("one of each that JSON itself does not have", async () => {
      const values = await (await app.sendTask("tasks.values", [], { queue: sides.queues.python })).get(within);
      expect(values).toEqual({
        datetime: new DateTime("2031-05-06T07:08:09.123456+00:00"),
        date: new PlainDate("2031-05-06"),
        decimal: new Decimal("1.10"),
        uuid: new UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        bytes: new Uint8Array([0, 255]),
        big: 2n ** 70n,
        float: 1,
      });
      expect(values.datetime).toBeInstanceOf(DateTime);
      expect(values.datetime).toMatchObject({ microsecond: 123456, naive: false });
    });

    it.each([
      ["datetime(1, 1, 1)", "DateTime"],
      ["datetime(9999, 12, 31, 23, 59, 59, 999999, timezone(timedelta(hours=-11, seconds=7)))", "DateTime"],
      ["date(2000, 2, 29)", "PlainDate"],
      ["time(0, 0, tzinfo=timezone.utc)", "PlainTime"],
      ["Decimal('-1E+500')", "Decimal"],
      ["Decimal('NaN')", "Decimal"],
      ["uuid.UUID(int=1)", "UUID"],
      ["b''", "Uint8Array"],
      ["b'\\x80'", "Uint8Array"],
      ["2 ** 53 - 1", "Number"],
      ["2 ** 53", "BigInt"],
      ["-(2 ** 53)", "BigInt"],
      ["1.5", "Number"],
      ["float('nan')", "Number"],
      ["-0.0", "Number"],
      ["{'2': 1, '1': {'__proto__': [1]}}", "Object"],
      ["'\\ud800 \\U0001f600'", "String"],
    ])("%s is a %s", async (expression, type) => {
      expect(await client.run(`call("kind", ${expression})`)).toBe(type);
      expect(await client.run(`difference(call("echo", ${expression}), ${expression})`)).toBeNull();
    });

    it("a tuple is an array, and comes back as a list", async () => {
      expect(await client.run(`repr(call("echo", (1, (2,))))`)).toBe("[1, [2]]");
    });

    it("a whole float is a number, and comes back as an int", async () => {
      expect(await client.run(`repr(call("echo", [1.0, 2.5]))`)).toBe("[1, 2.5]");
      expect(await client.run(`repr(call("float", 1.0))`)).toBe("1.0");
    });

    it("a datetime that is changed comes back as aware UTC", async () => {
      const code = `repr(call("later", datetime(2031, 5, 6, 7, 8, 9, 123456)))`;
      expect(await client.run(code)).toBe(
        "datetime.datetime(2031, 5, 6, 7, 8, 10, 123000, tzinfo=datetime.timezone.utc)",
      );
    });

    it("what has no form on the wire fails its task with EncodeError", async () => {
      for (const what of ["set", "function"]) {
        const failed = client.run(`app.send_task("typescript.unwritable", ("${what}",), queue=queue).get(timeout=20)`);
        await expect(failed).rejects.toMatchObject({ type: "EncodeError", module: "kombu.exceptions" });
      }
    });

    it("anything that JSON and its typed values can hold", { timeout: 120_000 }, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.oneof(json, typed), { minLength: 40, maxLength: 80 }), async (values) => {
          const text = JSON.stringify(dumps(values));
          expect(await client.run(`difference(call("echo", loads(${text})), loads(${text}))`)).toBeNull();
        }),
        runs,
      );
    });
  });

  describe("that are only forwarded stay what they are, byte for byte:", () => {
    /** Bodies of the next messages that are held, in the order of their task names. */
    async function bodies(count: number): Promise<string[]> {
      await eventually(async () => (await redis.llen(held)) >= count);
      const envelopes = (await redis.lpop(held, count)) ?? [];
      const messages = envelopes.map((text) => JSON.parse(text));
      messages.sort((a, b) => (a.headers.task < b.headers.task ? -1 : 1));
      return messages.map(({ body }) => Buffer.from(body, "base64").toString());
    }

    /** What Python writes of a value. */
    const written = (text: string): Promise<string> => client.run<string>(`dumps(loads(${JSON.stringify(text)}))`);

    const awkward = `[1.0, -0.0, 1e22, 1e16, 9007199254740993, NaN, -Infinity, {"2": 1, "1": 2.0}, {"__proto__": 1.0}, 5e-324,
      "\\ud800\\u00fc", {"__type__": "datetime", "__value__": "2031-05-06T07:08:09"}, {"__type__": "bytes", "__value__": "a"}]`;

    async function forwarded(text: string): Promise<void> {
      const list = await written(text);
      const items = list.slice(1, -1);
      await client.run(`send_all(loads(${JSON.stringify(text)}))`);
      const [body, chain, errback, link, retry] = await bodies(5);
      expect(body).toMatch(startOf(`[[[${list}, 0], ${items}], {"k": ${list}}, {`));
      expect(chain).toMatch(startOf(`[${list}, {"k": ${list}}, {`));
      expect(chain).toContain(`"args": ${list}, "kwargs": {"k": ${list}}`);
      expect(errback).toMatch(startOf(`[${list}, {"k": ${list}}, {`));
      expect(link).toMatch(startOf(`[[0, ${items}], {"k": ${list}}, {`));
      expect(retry).toMatch(startOf(`[[${list}], {"k": ${list}}, {`));
      expect(retry).toContain(`"args": ${list}, "kwargs": {"k": ${list}}`);
    }

    it("the rest of a chain, a chord's body and results, callbacks, errbacks, a retry's arguments", async () => {
      await forwarded(awkward);
    });

    it("whatever they are", { timeout: 120_000 }, async () => {
      const list = fc.array(fc.oneof(json, typed, wholeFloat), { minLength: 20, maxLength: 40 });
      await fc.assert(
        fc.asyncProperty(list, (values) => forwarded(dumps(values))),
        runs,
      );
    });
  });

  describe("by msgpack", () => {
    it.each<[string, unknown, string]>([
      ["integers of 64 bits", [2n ** 64n - 1n, -(2n ** 63n)], "[18446744073709551615, -9223372036854775808]"],
      [
        "integers of more than 32 bits",
        [2 ** 40, -(2 ** 40), 2 ** 53 - 1],
        "[1099511627776, -1099511627776, 9007199254740991]",
      ],
      ["-0", [-0, 1], "[-0.0, 1]"],
      ["floats", [1.5, new Float(1), Number.NaN, -0, 7], "[1.5, 1.0, nan, -0.0, 7]"],
      ["text and bytes, apart", ["a", new Uint8Array([97])], "['a', b'a']"],
      ["lists and objects", [[], { a: null, b: undefined }], "[[], {'a': None}]"],
    ])("come to Python: %s", async (_, value, seen) => {
      expect(await ask("describe", value, "msgpack")).toBe(seen);
    });

    it("stay what they are when they are only forwarded", async () => {
      const code = `app.send_task("typescript.retry", ([1.0, 1, 2**40],), {"k": -0.0}, queue=queue, serializer="msgpack").id`;
      await client.run(code);
      const [envelope] = await eventually(() => redis.lpop(held, 1));
      const body = Buffer.from(JSON.parse(envelope ?? "").body, "base64").toString();
      expect(body).toMatch(startOf('[[[1.0, 1, 1099511627776]], {"k": -0.0}, {'));
    });

    it.each([
      ["[2**64 - 1, -2**63, 2**53 - 1]", "[ 18446744073709551615n, -9223372036854775808n, 9007199254740991 ]"],
      ["[1.5, 1.0, float('nan'), -0.0]", "[ 1.5, 1, NaN, -0 ]"],
      ["['a', b'a']", "[ 'a', [ 'bytes', 97 ] ]"],
      ["[{'a': None}, (1,)]", "[ { a: null }, [ 1 ] ]"],
    ])("come to TypeScript: %s", async (expression, seen) => {
      expect(await client.run(`call("inspect", ${expression}, serializer="msgpack")`)).toBe(seen);
    });
  });
});

/** Leaves of JSON. Whole floats below 2^53 are left out: as a value of JavaScript they are integers. */
const leaf = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 90n }),
  fc.bigInt({ min: -(2n ** 90n), max: -(2n ** 53n) }),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.string({ unit: "binary" }),
  fc.string(),
  fc.constantFrom("\ud800", "\udc00\ud800", "\u2028", "\u007f", "__type__", "1e5"),
);

const key = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.nat().map(String), fc.constant("__proto__"));

const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.array(tie("json"), { maxLength: 5 }),
    fc.dictionary(key, tie("json"), { maxKeys: 5, noNullPrototype: true }),
  ),
}));

const moment = fc
  .record({
    date: fc.date({
      min: new Date("0001-01-01T00:00:00Z"),
      max: new Date("9999-12-31T23:59:59Z"),
      noInvalidDate: true,
    }),
    microsecond: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 999_999 })),
    offset: fc.constantFrom("", "+00:00", "+05:30", "-11:00", "+01:02:03"),
  })
  .map(({ date, microsecond, offset }) => {
    const fraction = microsecond === 0 ? "" : `.${String(microsecond).padStart(6, "0")}`;
    return { date: date.toISOString().slice(0, 10), time: `${date.toISOString().slice(11, 19)}${fraction}${offset}` };
  });

const typed = fc.oneof(
  moment.map(({ date, time }) => new DateTime(`${date}T${time}`)),
  moment.map(({ date }) => new PlainDate(date)),
  moment.map(({ time }) => new PlainTime(time)),
  fc.tuple(fc.bigInt({ min: 1n, max: 10n ** 30n }), fc.nat()).map(([whole, part]) => new Decimal(`-${whole}.${part}0`)),
  fc.uuid().map((text) => new UUID(text)),
  fc.uint8Array(),
  fc.string().map((text) => new TextEncoder().encode(text)),
);

const wholeFloat = fc.integer().map((value) => new Float(value));

/** Text that begins so: the end of a message's body tells of other things. */
function startOf(text: string): RegExp {
  return new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`);
}

function serve(app: Celery, held: string): void {
  app.task("typescript.echo", (value: unknown) => value);
  app.task("typescript.float", (value: number) => new Float(value));
  app.task("typescript.kind", (value: object) => value.constructor.name);
  app.task("typescript.inspect", (values: unknown[]) =>
    inspect(values.map((value) => (value instanceof Uint8Array ? ["bytes", ...value] : value))),
  );
  app.task("typescript.later", (date: DateTime) => {
    date.setSeconds(date.getSeconds() + 1);
    return date;
  });
  app.task("typescript.unwritable", (what: string) => (what === "set" ? new Set([1]) : () => 1));
  app.task("typescript.fail", () => {
    throw new Error("so that its errback is called");
  });
  app.task("typescript.last", async () => {
    // The other member of the chord is done by now, so that this one joins it.
    await new Promise((resolve) => setTimeout(resolve, 200));
    return 0;
  });
  const parameters = ["values", "k"];
  app.task({ name: "typescript.retry", bind: true, parameters }, (self: Self) => {
    throw self.retry({ countdown: 0, queue: held });
  });
}

/** What the Python side says again and again. */
function inPython({ queues }: Sides, held: string): string {
  return `
import math, uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from kombu.utils.json import dumps, loads

queue, held = ${JSON.stringify(queues.typescript)}, ${JSON.stringify(held)}

def call(name, *args, **options):
    return app.send_task("typescript." + name, args, queue=queue, **options).get(timeout=20)

def holding(name, values):
    return signature(name, args=values, kwargs={"k": values}).set(queue=held)

def send_all(values):
    ts = lambda name, *args: signature("typescript." + name, args, queue=queue)
    chain(ts("echo", 0), holding("held.chain", values).set(immutable=True), holding("held.later", values))()
    chord([signature("tasks.echo", (values,), queue=${JSON.stringify(queues.python)}), ts("last")])(holding("held.body", values))
    ts("echo", 0).apply_async(link=holding("held.link", values))
    ts("fail").apply_async(link_error=holding("held.errback", values).set(immutable=True))
    app.send_task("typescript.retry", (values,), {"k": values}, queue=queue, link=holding("held.later", values))

def difference(one, other):
    """Where two values are not the same, to the type and the sign of zero; None where they are."""
    if type(one) is not type(other):
        return f"{one!r} is not {other!r}"
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return f"{one.keys()} are not {other.keys()}"
        return next(filter(None, (difference(one[key], other[key]) for key in one)), None)
    if isinstance(one, list):
        if len(one) != len(other):
            return f"{one!r} is not {other!r}"
        return next(filter(None, map(difference, one, other)), None)
    return None if repr(one) == repr(other) else f"{one!r} is not {other!r}"
`;
}
