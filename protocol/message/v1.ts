import { InvalidTaskError } from "../errors.ts";
import { argsRepr, saferepr } from "../python/saferepr.ts";
import { readBody, type TaskBody } from "./embed.ts";
import { isMapping, mappingOf, readHeaders, type TaskHeaders } from "./headers.ts";

/** A task message of protocol 1, as protocol 2 would have it. */
export interface TaskMessageV1 {
  headers: TaskHeaders;
  body: TaskBody;
  /** False when the sender's times are in its own local time zone. */
  utc: boolean;
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
