import { isMapping } from "../message/headers.ts";
import { base64Decode, base64Encode, utf8Decode, utf8Encode } from "../serialization/bytes.ts";
import type { Encoded, Serializer } from "../serialization/serializer.ts";
import { DJANGO_LENGTHS } from "./django-tables.ts";
import type { MetaRequest, TaskMeta } from "./meta.ts";
import { asTuple, type ResultNode, type ResultTuple } from "./result-tuple.ts";
import { fitting, storable } from "./stored-text.ts";

/** A serialized value as text, with what the reader has to know about it. */
export interface DjangoContent {
  content_type: string;
  content_encoding: string;
  result: string | null;
}

/** A row of `django_celery_results_taskresult`, without its id. Moments are ISO 8601; without an offset they are UTC. */
export interface DjangoTaskRow extends DjangoContent {
  task_id: string;
  periodic_task_name?: string | null;
  task_name: string | null;
  task_args: string | null;
  task_kwargs: string | null;
  status: string;
  worker: string | null;
  date_created?: string;
  /** Only where a task is started, and in tables that have it. */
  date_started?: string | null;
  date_done: string;
  traceback: string | null;
  meta: string | null;
}

type Encoder = Pick<Serializer, "encode" | "contentType" | "contentEncoding">;
type DecodeContent = (content: Encoded) => unknown;

/**
 * The row that a record is stored as. Name, arguments and worker are in it with `resultExtended`; the arguments are
 * those that the sender showed (`argsrepr`), where there are any. The traceback is kept without `resultExtended` too,
 * where Python's side drops it. Mirrors `django_celery_results/backends/database.py _store_result`.
 *
 * @param now ISO 8601: when the row was written
 * @throws EncodeError when the serializer cannot write the result
 */
export function djangoTaskRow(
  meta: TaskMeta,
  request: MetaRequest | undefined,
  encoder: Encoder,
  now: string,
): DjangoTaskRow {
  const extended = meta.name !== undefined;
  const shown = (repr: string | null | undefined, value: unknown): string | null => {
    const given = repr || (value ?? null);
    return extended && given !== null ? encodedText(given, encoder) : null;
  };
  return {
    ...djangoContent(meta.result, encoder),
    task_id: meta.task_id,
    periodic_task_name: extended ? fitting(request?.periodicTaskName, DJANGO_LENGTHS.periodic_task_name) : null,
    task_name: fitting(meta.name, DJANGO_LENGTHS.task_name),
    task_args: shown(request?.argsrepr, meta.args),
    task_kwargs: shown(request?.kwargsrepr, meta.kwargs),
    status: meta.status,
    worker: fitting(meta.worker, DJANGO_LENGTHS.worker),
    date_created: now,
    ...(meta.status === "STARTED" && { date_started: now }),
    date_done: now,
    traceback: storable(meta.traceback),
    meta: encodedText({ ...request?.meta, children: meta.children }, encoder),
  };
}

/** A value as it is stored: text, or base64 of what is none. Mirrors `encode_content`. @throws EncodeError */
export function djangoContent(value: unknown, encoder: Encoder): DjangoContent {
  return {
    content_type: encoder.contentType,
    content_encoding: encoder.contentEncoding,
    result: encodedText(value, encoder),
  };
}

/** What {@link djangoContent} wrote, or Python. @throws as `decode` */
export function djangoResult(content: DjangoContent, decode: DecodeContent): unknown {
  return decodedText(content.result, content, decode);
}

/**
 * The record in a row. The row says how its content is to be read, whatever `resultSerializer` is.
 * Mirrors `django_celery_results/backends/database.py _get_task_meta_for`.
 * @throws as `decode` when the result cannot be read
 */
export function metaOfDjangoRow(row: DjangoTaskRow, decode: DecodeContent): TaskMeta {
  const own = decodedText(row.meta, row, decode);
  const { children, ...more }: Record<string, unknown> = isMapping(own) ? own : {};
  return {
    // First: nothing of an application's own takes the place of what follows.
    ...more,
    ...(row.task_name !== null && {
      name: row.task_name,
      args: shownText(row.task_args, row, decode),
      kwargs: shownText(row.task_kwargs, row, decode),
      worker: row.worker,
    }),
    status: row.status,
    result: djangoResult(row, decode),
    traceback: row.traceback,
    children: Array.isArray(children) ? (children as ResultTuple[]) : [],
    date_done: instant(row.date_done),
    task_id: row.task_id,
  };
}

/** The members of a chord's header as `ChordCounter.sub_tasks` has them. */
export function djangoSubTasks(header: ResultNode): ResultTuple[] {
  return (header.results ?? []).map(asTuple);
}

function encodedText(value: unknown, { encode, contentEncoding }: Encoder): string {
  const bytes = encode(value);
  return contentEncoding === "binary" ? base64Encode(bytes) : utf8Decode(bytes);
}

function decodedText(text: string | null, row: DjangoContent, decode: DecodeContent): unknown {
  if (!text) return null;
  const { content_type: contentType, content_encoding: contentEncoding } = row;
  const body = contentEncoding === "binary" ? base64Decode(text) : utf8Encode(text);
  return decode({ body, contentType, contentEncoding });
}

/** Arguments, which older releases wrote as the plain text that they are. */
function shownText(text: string | null, row: DjangoContent, decode: DecodeContent): unknown {
  try {
    return decodedText(text, row, decode);
  } catch {
    return text;
  }
}

function instant(text: string): string {
  const iso = text.replace(" ", "T");
  return /(?:Z|[+-]\d\d:\d\d)$/.test(iso) ? iso : `${iso}+00:00`;
}
