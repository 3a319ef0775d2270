import { metaOfRow, type TaskRow } from "../../../../protocol/result/database-row.ts";
import { readMeta, type TaskMeta } from "../../../../protocol/result/meta.ts";
import { dumpPickledGroup } from "../../../../protocol/result/pickled-group.ts";
import { fromTuple, type ResultNode } from "../../../../protocol/result/result-tuple.ts";
import { READY_STATES } from "../../../../protocol/result/states.ts";
import { pickledValues, serializedValues } from "../../../../protocol/result/stored-value.ts";
import { loads } from "../../../../protocol/serialization/json-reader.ts";
import { pickleDumps } from "../../../../protocol/serialization/pickle.ts";
import { SerializerRegistry } from "../../../../protocol/serialization/registry.ts";
import { taskError } from "../../../../src/app/exception.ts";
import { resultCodec } from "../../../../src/app/result-codec.ts";
import type { Settings } from "../../../../src/app/settings.ts";
import { struck } from "../blows.ts";
import type { Random } from "../random.ts";
import { bytesTarget, show, type Target } from "../target.ts";
import { captured, fromBase64 } from "../vectors.ts";
import { INFLATED_LIMIT, jsonMade } from "./messages.ts";

const codec = resultCodec(new SerializerRegistry(), {
  resultSerializer: "json",
  resultAcceptContent: null,
  acceptContent: ["json"],
  resultCompression: null,
  inflatedSizeLimit: INFLATED_LIMIT,
} as unknown as Settings);

const ID = "d0f4a1b2-0000-4000-8000-000000000000";
const metas = captured<{ text: string }>("results").map(({ text }) => Buffer.from(text));
const payloads = captured<{ payload: string }>("compressed-results").map(({ payload }) => fromBase64(payload));
const PAYLOAD_WORDS = [
  "\0celery-compressed\0",
  "application/x-bz2\0",
  "application/x-gzip\0",
  "application/zstd\0",
  "\0",
  "{",
];

/** What a caller that waits makes of a record. */
function told(meta: TaskMeta): unknown {
  const children = meta.children.map(fromTuple);
  if (!READY_STATES.has(meta.status) || meta.status === "SUCCESS") return { meta, children };
  const error = taskError(meta.result, meta.traceback);
  return { meta, children, args: error.args, message: error.message };
}

/** On Redis, in files, in memory: one record, compressed or not. */
const record = bytesTarget(
  "result-record",
  (random) =>
    random.chance(0.75) ? jsonMade(metas, random) : struck(random.pick(payloads), payloads, PAYLOAD_WORDS, random),
  async (bytes) => told(readMeta(codec.decode(await codec.unpack(bytes)), ID)),
);

const group = bytesTarget(
  "result-group",
  (random) =>
    jsonMade(
      [Buffer.from('{"result": [["g", null], [[["a", [["p", null], null]], null], [["b", null], null]]]}')],
      random,
    ),
  async (bytes) => {
    const value = codec.decode(await codec.unpack(bytes));
    return fromTuple((value as { result?: unknown } | null)?.result);
  },
);

interface RowVector {
  row: Record<string, string | number | null>;
  pickles: string[];
}

const BYTE_COLUMNS = ["result", "children", "args", "kwargs", "stamps"];
const rows = captured<RowVector>("database-rows");
const pickles = rows.flatMap((vector) => vector.pickles.map(fromBase64));
const PICKLE_WORDS = [
  "q\x00",
  "h\x00",
  "\x94",
  "(",
  "t",
  "R",
  "]",
  "}",
  "s",
  "u",
  "e",
  "a",
  "ccelery.result\nAsyncResult\n",
  "(h\x00h\x00l",
];
const SERIALIZED = serializedValues(codec);
const PICKLED = pickledValues(codec);

function rowTarget(name: string, isOld: boolean): Target {
  const target: Target<TaskRow> = {
    name,
    make: (random) => madeRow(random, isOld),
    read: (row) => [SERIALIZED, PICKLED].map((values) => told(metaOfRow(row, codec, values))),
    show: (row) =>
      JSON.stringify(row, (_, value) => (value?.type === "Buffer" ? show(Uint8Array.from(value.data)) : value)),
  };
  return target as Target;
}

function madeRow(random: Random, isOld: boolean): TaskRow {
  const { row } = random.pick(rows);
  const entries = Object.entries(row).map(([column, value]) => {
    if (!BYTE_COLUMNS.includes(column) || typeof value !== "string") return [column, value];
    if (column !== "result" && random.chance(0.6)) return [column, Buffer.from(value)];
    if (!isOld) return [column, jsonMade([Buffer.from(value)], random)];
    const pickle = random.chance(0.5) ? random.pick(pickles) : Buffer.from(pickleDumps(loads(value)));
    return [column, struck(pickle, pickles, PICKLE_WORDS, random)];
  });
  if (random.chance(0.1)) entries.push([random.pick(["status", "date_done", "traceback"]), null]);
  return Object.fromEntries(entries) as TaskRow;
}

const member: ResultNode = { id: "m", parent: { id: "p", parent: null, results: null }, results: null };
const groups = [
  dumpPickledGroup({ id: "g", parent: member, results: [member, { id: "h", parent: null, results: [member] }] }),
  dumpPickledGroup({ id: "g", parent: null, results: [] }),
];

const oldGroup = bytesTarget(
  "row-group-5.6",
  (random) =>
    struck(random.pick(groups), [...groups, ...pickles], [...PICKLE_WORDS, "ccelery.result\nGroupResult\n"], random),
  (bytes) => PICKLED.decodeGroup(bytes),
);

export const resultTargets: readonly Target[] = [
  record,
  group,
  rowTarget("row-5.7", false),
  rowTarget("row-5.6", true),
  oldGroup,
];
