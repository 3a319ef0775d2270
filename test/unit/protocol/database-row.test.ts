import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repr } from "../../../protocol/python/repr.ts";
import { metaOfRow, type TaskRow, taskRow } from "../../../protocol/result/database-row.ts";
import { taskMeta } from "../../../protocol/result/meta.ts";
import { dumpPickle, PythonCall } from "../../../protocol/result/plain-pickle-writer.ts";
import { pickledValues, serializedValues } from "../../../protocol/result/stored-value.ts";
import { base64Decode, utf8Decode, utf8Encode } from "../../../protocol/serialization/bytes.ts";
import { json } from "../../../protocol/serialization/json.ts";
import { loads } from "../../../protocol/serialization/json-reader.ts";
import { msgpack } from "../../../protocol/serialization/msgpack.ts";
import { pickle } from "../../../protocol/serialization/pickle.ts";

/** A row with its bytes as text, and its value as pickles of protocol 2 to 5. */
interface RowVector {
  name: string;
  row: Record<string, string | number | null>;
  pickles: string[];
}

const FILE = join(import.meta.dirname, "../../../interop/vectors/database-rows.json");
const cases: RowVector[] = JSON.parse(readFileSync(FILE, "utf8")).vectors;
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
        expect(pickles.map((bytes) => stored.decode(base64Decode(bytes)))).toEqual(pickles.map(() => expected));
      }
    }
  });

  it("is not taken for a pickle where msgpack holds a map of nothing", () => {
    const stored = serializedValues(msgpack);
    expect(stored.decode(stored.encode({}))).toEqual({});
  });
});

describe("a plain pickle", () => {
  const plain = [
    null,
    true,
    false,
    0,
    127,
    128,
    255,
    256,
    -1,
    -128,
    -129,
    2 ** 53 - 1,
    2n ** 64n,
    -(2n ** 2100n),
    0.5,
    -0,
  ];
  const more = ["", "grüße😀", [], [[]], {}, { a: { b: [1] } }, new Uint8Array([0, 255]), Number.NaN, Infinity];

  it.each([...plain, ...more].map((value) => [repr(value), value]))("comes back as it was: %s", (_, value) => {
    expect(pickle.decode(dumpPickle(value))).toEqual(value);
  });

  it("leaves out what is undefined, and refuses what has no form", () => {
    expect(pickle.decode(dumpPickle({ a: undefined, b: 1 }))).toEqual({ b: 1 });
    expect(() => dumpPickle(new Set())).toThrow(/cannot pickle 'Set' object/);
    expect(() => dumpPickle(() => 1)).toThrow(/cannot pickle 'function' object/);
    const circle: unknown[] = [];
    circle.push(circle);
    expect(() => dumpPickle(circle)).toThrow(/nested too deeply/);
  });

  it("names the Python object that it cannot read, and runs nothing", () => {
    const bytes = dumpPickle([new PythonCall("os", "system", ["true"])]);
    expect(() => pickle.decode(bytes)).toThrow(/os\.system/);
  });

  it("that is cut short is refused wherever it ends", () => {
    const bytes = dumpPickle({ a: ["text", 1, 2.5, null, 2n ** 70n] });
    for (let end = 0; end < bytes.length; end++) {
      expect(() => pickle.decode(bytes.subarray(0, end)), String(end)).toThrow(/pickle/);
    }
  });

  it("gives an object no other prototype", () => {
    const read = pickle.decode(dumpPickle(JSON.parse('{"__proto__": {"a": 1}}'))) as Record<string, unknown>;
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
    expect(Object.keys(read)).toEqual(["__proto__"]);
  });
});
