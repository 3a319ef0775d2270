import { chainAsCallback } from "../canvas/compose.ts";
import { InvalidTaskError } from "../errors.ts";
import { argsRepr, saferepr } from "../python/saferepr.ts";
import { readBody, type TaskBody } from "./embed.ts";
import { isMapping, mappingOf, readHeaders, type TaskHeaders } from "./headers.ts";
import { etaHeader, expiresHeader, type TaskCall, type TaskOptions } from "./task-options.ts";

/** The body of a task message of protocol 1, its keys in Celery's order. */
export interface TaskBodyV1 {
  task: string;
  id: string;
  args: readonly unknown[];
  kwargs: Record<string, unknown>;
  group: string | null;
  group_index: number | null;
  retries: number;
  /** ISO 8601. */
  eta: string | null;
  expires: string | null;
  /** Whether times without an offset are UTC. */
  utc: boolean;
  callbacks: readonly unknown[] | null;
  errbacks: readonly unknown[] | null;
  /** Seconds: hard limit first, then the soft one. */
  timelimit: [hard: number | null, soft: number | null];
  /** The group once more, under its older name. */
  taskset: string | null;
  chord: unknown;
}

/** A task message of protocol 1 before it is serialized. */
export interface WrittenTaskV1 {
  headers: Record<string, never>;
  properties: { correlation_id: string; reply_to: string };
  body: TaskBodyV1;
}

/**
 * A task message of protocol 1: all in the body, no headers. It has no place for root, parent, stamps, who sent it, and
 * whether a result is wanted; the rest of a chain goes as a callback, where Celery would lose it.
 * Mirrors `celery/app/amqp.py as_task_v1`.
 *
 * @param utc `enableUtc`
 * @throws RangeError for a countdown or expiry out of range
 */
export function asTaskV1(name: string, call: TaskCall, options: TaskOptions, utc = true): WrittenTaskV1 {
  const { taskId, args = [], kwargs = {}, now } = call;
  const rest = chainAsCallback(options.chain ?? []);
  return {
    headers: {},
    properties: { correlation_id: taskId, reply_to: options.replyTo ?? "" },
    body: {
      task: name,
      id: taskId,
      args,
      kwargs,
      group: options.groupId ?? null,
      group_index: options.groupIndex ?? null,
      retries: options.retries ?? 0,
      eta: etaHeader(options, now),
      expires: expiresHeader(options, now),
      utc,
      callbacks: rest ? [...(options.callbacks ?? []), rest] : (options.callbacks ?? null),
      errbacks: options.errbacks ?? null,
      timelimit: [options.timeLimit ?? null, options.softTimeLimit ?? null],
      taskset: options.groupId ?? null,
      chord: options.chord ?? null,
    },
  };
}

/** A task message of protocol 1, as protocol 2 would have it. */
export interface TaskMessageV1 {
  headers: TaskHeaders;
  body: TaskBody;
  /** False when the sender's times are in its own local time zone. */
  utc: boolean;
}

/** Headers that Celery's protocol 2 has always had, and that a hybrid may leave to the body. */
const SHARED = [
  ...["lang", "task", "id", "root_id", "parent_id", "group", "shadow", "eta", "expires", "retries", "timelimit"],
  ...["argsrepr", "kwargsrepr", "origin"],
];

/** True for headers that name a task and leave something to the body: a hybrid, or a sender who writes little. */
export function mayBeHybrid(headers: Record<string, unknown>): boolean {
  return SHARED.some((name) => !Object.hasOwn(headers, name));
}

/** True for the decoded body of a hybrid message. */
export function isHybridBody(body: unknown): body is Record<string, unknown> {
  return isMapping(body) && Object.hasOwn(body, "args");
}

/** True for a decoded body that carries its task's name itself: protocol 1, or the hybrid form. */
export function isTaskV1(body: unknown): body is Record<string, unknown> {
  return isMapping(body) && typeof body.task === "string";
}

/**
 * Reads protocol 1, whose body is one dict with everything in it, and the hybrid form: that body, and protocol 2's
 * headers over it. Mirrors `celery/worker/strategy.py proto1_to_proto2` and `hybrid_to_proto2`.
 *
 * @param headers the message's own headers; they win over the body's entries when the message is a hybrid
 * @throws InvalidTaskError when the body cannot be a task
 */
export function readTaskV1(body: Record<string, unknown>, headers: Record<string, unknown>): TaskMessageV1 {
  const { args = [], kwargs: given = {}, callbacks, errbacks, chord, taskset, utc, ...rest } = body;
  const kwargs = mappingOf(given);
  if (!kwargs) throw new InvalidTaskError("Task keyword arguments must be a mapping");
  if (!Array.isArray(args)) throw new InvalidTaskError("Task positional arguments must be a list");
  const merged: Record<string, unknown> = { ...rest, group: taskset ?? rest.group ?? null, ...headers };
  return {
    headers: readHeaders({
      ...merged,
      argsrepr: merged.argsrepr ?? argsRepr(args, 0),
      kwargsrepr: merged.kwargsrepr ?? saferepr(kwargs),
    }),
    body: readBody([args, kwargs, { callbacks, errbacks, chord, chain: null }]),
    utc: utc !== false,
  };
}
