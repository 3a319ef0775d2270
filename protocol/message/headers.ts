import { InvalidTaskError } from "../errors.ts";
import { saferepr } from "../python/saferepr.ts";
import { membersOf } from "../serialization/json-reader.ts";
import { RawJson } from "../serialization/raw-json.ts";

/** The headers of a task message of protocol 2, in the order in which Celery writes them. */
export interface TaskHeaders {
  lang: string;
  task: string;
  id: string;
  /** A name to show in the place of the task's own. */
  shadow: string | null;
  /** ISO 8601, with an offset or naive. */
  eta: string | null;
  expires: string | null;
  group: string | null;
  group_index: number | null;
  retries: number;
  /** Seconds: hard limit first, then the soft one. */
  timelimit: [hard: number | null, soft: number | null];
  root_id: string | null;
  parent_id: string | null;
  argsrepr: string;
  kwargsrepr: string;
  /** Who sent the message first: `gen<pid>@<host>`. */
  origin: string | null;
  ignore_result: boolean | null;
  replaced_task_nesting: number;
  stamped_headers: string[] | null;
  stamps: Record<string, unknown>;
  /** Headers of the application's own. */
  [custom: string]: unknown;
}

/** The names in {@link TaskHeaders}: every other header is the application's own. */
export const PROTOCOL_HEADERS: ReadonlySet<string> = new Set([
  "lang",
  "task",
  "id",
  "shadow",
  "eta",
  "expires",
  "group",
  "group_index",
  "retries",
  "timelimit",
  "root_id",
  "parent_id",
  "argsrepr",
  "kwargsrepr",
  "origin",
  "ignore_result",
  "replaced_task_nesting",
  "stamped_headers",
  "stamps",
  "compression",
]);

/**
 * The headers of a message that claims to be a task, checked and with what older versions leave out filled in.
 * @throws InvalidTaskError naming the header that no task can have
 */
export function readHeaders(headers: Record<string, unknown>): TaskHeaders {
  const id = headers.id;
  if (typeof id !== "string" || id === "") throw new InvalidTaskError(`header id must be text, got ${shown(id)}`);
  const task = headers.task;
  if (typeof task !== "string" || task === "") {
    throw new InvalidTaskError(`header task must be text, got ${shown(task)}`);
  }
  return {
    ...headers,
    lang: typeof headers.lang === "string" ? headers.lang : "py",
    task,
    id,
    shadow: text(headers, "shadow"),
    eta: text(headers, "eta"),
    expires: text(headers, "expires"),
    group: text(headers, "group"),
    group_index: count(headers, "group_index"),
    retries: count(headers, "retries") ?? 0,
    timelimit: timelimit(headers.timelimit),
    root_id: text(headers, "root_id"),
    parent_id: text(headers, "parent_id"),
    argsrepr: text(headers, "argsrepr") ?? "",
    kwargsrepr: text(headers, "kwargsrepr") ?? "",
    origin: text(headers, "origin"),
    ignore_result: typeof headers.ignore_result === "boolean" ? headers.ignore_result : null,
    replaced_task_nesting: count(headers, "replaced_task_nesting") ?? 0,
    stamped_headers: isTexts(headers.stamped_headers) ? headers.stamped_headers : null,
    stamps: isMapping(headers.stamps) ? headers.stamps : {},
  };
}

function text(headers: Record<string, unknown>, name: string): string | null {
  const value = headers[name];
  if (value === undefined || value === null) return null;
  if (typeof value !== "string") throw new InvalidTaskError(`header ${name} must be text or null, got ${shown(value)}`);
  return value;
}

function count(headers: Record<string, unknown>, name: string): number | null {
  const value = headers[name];
  if (value === undefined || value === null) return null;
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number !== "number" || !Number.isInteger(number) || number < 0) {
    throw new InvalidTaskError(`header ${name} must be a whole number or null, got ${shown(value)}`);
  }
  return number;
}

function timelimit(value: unknown): [number | null, number | null] {
  if (value === undefined || value === null) return [null, null];
  if (Array.isArray(value) && value.length === 2) return [seconds(value[0]), seconds(value[1])];
  throw new InvalidTaskError(`header timelimit must be a pair [hard, soft], got ${shown(value)}`);
}

function seconds(value: unknown): number | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "number" && value >= 0) return value;
  throw new InvalidTaskError(`a time limit must be seconds or null, got ${shown(value)}`);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** True for what Python would read as a dict. */
export function isMapping(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The dict that a value is, be it read or only forwarded; undefined for anything else. */
export function mappingOf(value: unknown): Record<string, unknown> | undefined {
  if (isMapping(value)) return value;
  return value instanceof RawJson && value.text.startsWith("{") ? membersOf(value) : undefined;
}

function shown(value: unknown): string {
  return value === undefined ? "nothing" : saferepr(value, 60);
}
