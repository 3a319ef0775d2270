import { isMapping } from "../message/headers.ts";
import { COLUMN_LENGTHS } from "./database-tables.ts";
import type { TaskMeta } from "./meta.ts";
import type { ResultTuple } from "./result-tuple.ts";
import { fitting, storable } from "./stored-text.ts";
import type { StoredValues, ValueCodec } from "./stored-value.ts";

/** A row of `celery_taskmeta` without its id. Columns that are left out are not written, or are not there. */
export interface TaskRow {
  task_id: string;
  status: string | null;
  result: Uint8Array | null;
  /** ISO 8601; without an offset on databases that keep none. */
  date_done: string | null;
  traceback: string | null;
  children?: Uint8Array | null;
  name?: string | null;
  args?: Uint8Array | null;
  kwargs?: Uint8Array | null;
  worker?: string | null;
  retries?: number | null;
  queue?: string | null;
  stamps?: Uint8Array | null;
}

/**
 * The row that a record is stored as. Name, arguments and the rest of `resultExtended` are in it when they are in
 * the record. Mirrors `celery/backends/database/__init__.py _update_result`.
 *
 * @throws EncodeError when the serializer cannot write the result
 */
export function taskRow(meta: TaskMeta, codec: ValueCodec, values: StoredValues): TaskRow {
  const row: TaskRow = {
    task_id: meta.task_id,
    status: meta.status,
    result: values.encode(meta.result),
    date_done: meta.date_done,
    traceback: storable(meta.traceback),
    children: meta.children.length > 0 ? codec.encode(meta.children) : null,
  };
  if (meta.name === undefined) return row;
  const extended: TaskRow = {
    ...row,
    name: fitting(meta.name, COLUMN_LENGTHS.name),
    args: codec.encode(meta.args ?? null),
    kwargs: codec.encode(meta.kwargs ?? null),
    worker: fitting(meta.worker, COLUMN_LENGTHS.name),
    retries: meta.retries ?? null,
    queue: fitting(meta.queue, COLUMN_LENGTHS.name),
  };
  return meta.stamped_headers ? { ...extended, stamps: codec.encode(stampsOf(meta, meta.stamped_headers)) } : extended;
}

/**
 * The record in a row. Mirrors `celery/backends/database/__init__.py _get_task_meta_for`.
 * @throws DecodeError when its bytes cannot be read
 */
export function metaOfRow(row: TaskRow, codec: ValueCodec, values: StoredValues): TaskMeta {
  const children = row.children && codec.decode(row.children);
  return {
    // First: a stamp does not take the place of what follows.
    ...(row.name != null && extendedMeta(row, codec)),
    status: row.status ?? "PENDING",
    result: values.decode(row.result) ?? null,
    traceback: row.traceback,
    children: Array.isArray(children) ? (children as ResultTuple[]) : [],
    date_done: row.date_done?.replace(" ", "T") ?? null,
    task_id: row.task_id,
  };
}

function extendedMeta(row: TaskRow, codec: ValueCodec): Partial<TaskMeta> {
  const stamps = row.stamps && codec.decode(row.stamps);
  return {
    name: row.name ?? null,
    args: row.args ? codec.decode(row.args) : null,
    kwargs: row.kwargs ? codec.decode(row.kwargs) : null,
    worker: row.worker ?? null,
    retries: row.retries ?? null,
    queue: row.queue ?? null,
    ...(isMapping(stamps) && {
      stamped_headers: stamps.stamped_headers as string[],
      ...(isMapping(stamps.stamps) && stamps.stamps),
    }),
  };
}

function stampsOf(meta: TaskMeta, names: readonly string[]): object {
  const stamps = Object.fromEntries(names.filter((name) => name in meta).map((name) => [name, meta[name]]));
  return { stamped_headers: names, stamps };
}
