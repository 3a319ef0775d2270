import { describe, expect, it } from "vitest";
import { DecodeError } from "../../../protocol/errors.ts";
import { repr } from "../../../protocol/python/repr.ts";
import { metaOfRow, type TaskRow, taskRow } from "../../../protocol/result/database-row.ts";
import { taskMeta } from "../../../protocol/result/meta.ts";
import { asTuple, type ResultNode } from "../../../protocol/result/result-tuple.ts";
import { pickledValues, serializedValues } from "../../../protocol/result/stored-value.ts";
import { base64Decode, utf8Decode, utf8Encode } from "../../../protocol/serialization/bytes.ts";
import { json } from "../../../protocol/serialization/json.ts";
import { loads } from "../../../protocol/serialization/json-reader.ts";
import { msgpack } from "../../../protocol/serialization/msgpack.ts";
import { pickle, pickleSerializer } from "../../../protocol/serialization/pickle.ts";
import { named, vectors } from "../../support/vectors.ts";

/** A row with its bytes as text, and its value as pickles of protocol 2 to 5. */
interface RowVector {
  name: string;
  row: Record<string, string | number | null>;
  pickles: string[];
}

/** A value that Celery 5.6 stored, and Python's repr of what it is read as. */
interface PickledRow {
  repr: string;
  bytes: string;
}

/** A value that is not read, and the class that the error names. */
interface RefusedRow {
  names: string;
  bytes: string;
}

/** A group that Celery 5.6 saved, and its `as_tuple()`. */
interface PickledGroup {
  name: string;
  tuple: unknown;
  bytes: string;
}

const cases = vectors<RowVector>("database-rows");
const BYTES = ["result", "children", "args", "kwargs", "stamps"];
const values = serializedValues(json);

function shown(row: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => [column, value instanceof Uint8Array ? utf8Decode(value) : value]),
  );
}

function asRow(row: RowVector["row"]): TaskRow {
  const entries = Object.entries(row).map(([column, value]) => [
    column,
    BYTES.includes(column) && typeof value === "string" ? utf8Encode(value) : value,
  ]);
  return Object.fromEntries(entries) as TaskRow;
}

describe("a row of celery_taskmeta", () => {
  it.each(cases)("is written as Celery writes it: $name", ({ row }) => {
    const { status, result, traceback, date_done: now } = row as Record<string, string>;
    const extended = row.name !== null;
    const meta = taskMeta({
      taskId: row.task_id as string,
      state: status ?? "",
      result: loads(result ?? ""),
      traceback: traceback ?? null,
      extended,
      now: now ?? "",
      request: {
        name: "tasks.add",
        args: [2, "ü"],
        kwargs: { k: 1.5 },
        hostname: "celery@host",
        retries: 1,
        routingKey: "celery",
        stampedHeaders: ["tenant"],
        stamps: { tenant: "a", other: "b" },
        children: extended ? [[["d0f4a1b2-0000-4000-8000-000000000001", null], null]] : [],
      },
    });
    // What a row does not say is NULL where it is new.
    const unsaid = { name: null, args: null, kwargs: null, worker: null, retries: null, queue: null, stamps: null };
    expect({ ...unsaid, ...shown(taskRow(meta, json, values)) }).toEqual(row);
  });

  it.each(cases)("is read: $name", ({ row }) => {
    const meta = metaOfRow(asRow(row), json, values);
    expect(meta).toMatchObject({ task_id: row.task_id, status: row.status, date_done: row.date_done });
    expect(meta.result).toEqual(loads(row.result as string));
    expect("name" in meta).toBe(row.name !== null);
    if (row.name) expect(meta).toMatchObject({ args: [2, "ü"], stamped_headers: ["tenant"], tenant: "a" });
  });

  it.each(cases)("holds a pickle up to Celery 5.6, read whatever the serializer: $name", ({ row, pickles }) => {
    const expected = loads(row.result as string);
    for (const codec of [json, msgpack]) {
      for (const stored of [serializedValues(codec), pickledValues(codec)]) {
        expect(pickles.map((pickle) => stored.decode(base64Decode(pickle)))).toEqual(pickles.map(() => expected));
      }
    }
  });

  it("is not taken for a pickle where msgpack holds a map of nothing", () => {
    const stored = serializedValues(msgpack);
    expect(stored.decode(stored.encode({}))).toEqual({});
  });
});

describe("a value in a row up to Celery 5.6", () => {
  const stored = pickledValues(json);
  const plain = [true, false, 0, 127, 128, 255, 256, -1, -128, -129, 2 ** 53 - 1, 2n ** 64n, -(2n ** 2100n), 0.5, -0];
  const more = ["", "grüße😀", [], [[]], {}, { a: { b: [1] } }, new Uint8Array([0, 255]), Number.NaN, Infinity];

  it.each([...plain, ...more].map((value) => [repr(value), value]))("comes back as it was: %s", (_, value) => {
    expect(stored.decode(stored.encode(value))).toEqual(value);
  });

  it("is NULL for None, and lacks what is undefined", () => {
    expect([stored.encode(null), stored.encode(undefined), stored.decode(null)]).toEqual([null, null, null]);
    expect(stored.decode(stored.encode({ a: undefined, b: 1 }))).toEqual({ b: 1 });
  });

  it.each(named<{ name: string; values: PickledRow[] }>("pickled-rows", "values").values)(
    "is what Celery 5.6 stored: $repr",
    ({ bytes, repr: python }) => {
      const value = stored.decode(base64Decode(bytes));
      expect(repr(value)).toBe(python);
      expect(repr(stored.decode(stored.encode(value)))).toBe(python);
    },
  );

  it.each(named<{ name: string; values: RefusedRow[] }>("pickled-rows", "refused").values)(
    "is refused by its name where it is an object of $names",
    ({ bytes, names }) => {
      expect(() => stored.decode(base64Decode(bytes))).toThrow(DecodeError);
      expect(() => stored.decode(base64Decode(bytes))).toThrow(names);
    },
  );

  it("may be an exception of the application's own, where that is told", () => {
    const { values: refused } = named<{ name: string; values: RefusedRow[] }>("pickled-rows", "refused");
    const bytes = base64Decode(refused.find(({ names }) => names === "shop.OutOfStock")?.bytes ?? "");
    const own = serializedValues(json, pickleSerializer({ exceptions: ["shop.OutOfStock"] }).decode);
    expect(own.decode(bytes)).toMatchObject({ module: "shop", type: "OutOfStock", args: ["apple", 3] });
  });

  it("that is cut short is refused wherever it ends", () => {
    const pickle = stored.encode({ a: ["text", 1, 2.5, null, 2n ** 70n] }) ?? new Uint8Array();
    for (let end = 2; end < pickle.length; end++) {
      expect(() => stored.decode(pickle.subarray(0, end)), String(end)).toThrow(DecodeError);
    }
  });
});

describe("a saved group up to Celery 5.6", () => {
  const groups = named<{ name: string; values: PickledGroup[] }>("pickled-rows", "groups").values;

  it.each(groups)("is what Celery 5.6 stored: $name", ({ bytes, tuple }) => {
    for (const codec of [json, msgpack]) {
      for (const stored of [serializedValues(codec), pickledValues(codec)]) {
        const group = stored.decodeGroup(base64Decode(bytes));
        expect(group && asTuple(group)).toEqual(tuple);
        expect(stored.decodeGroup(stored.encodeGroup(group as ResultNode))).toEqual(group);
      }
    }
  });

  it("is read where results are pickles too, when these are accepted", () => {
    const stored = serializedValues(pickle);
    for (const { bytes, tuple } of groups) {
      const group = stored.decodeGroup(base64Decode(bytes));
      expect(group && asTuple(group)).toEqual(tuple);
      expect(stored.decodeGroup(stored.encodeGroup(group as ResultNode))).toEqual(group);
    }
  });
});
