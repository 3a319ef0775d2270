import { InvalidTaskError } from "../errors.ts";
import { isMapping } from "../message/headers.ts";
import type { ResultTuple } from "./result-tuple.ts";
import { READY_STATES, type State } from "./states.ts";

/** A task's state and result as the backends store it. */
export interface TaskMeta {
  status: State;
  /** The value; for an exception state {@link StoredException}; for a custom state whatever the task gave. */
  result: unknown;
  traceback: string | null;
  children: ResultTuple[];
  /** ISO 8601 in the application's time zone, null until the task is over. */
  date_done: string | null;
  group_id?: string | null;
  parent_id?: string | null;
  task_id: string;
  /** With `resultExtended`. */
  name?: string | null;
  args?: unknown;
  kwargs?: unknown;
  worker?: string | null;
  retries?: number | null;
  queue?: string | null;
  stamped_headers?: string[] | null;
  [stamp: string]: unknown;
}

/** What a result records of the task it is of; one without a name is not known to anybody. */
export interface MetaRequest {
  group?: string | null;
  parentId?: string | null;
  name?: string | null;
  args?: unknown;
  kwargs?: unknown;
  hostname?: string | null;
  retries?: number | null;
  routingKey?: string | null;
  stampedHeaders?: string[] | null;
  stamps?: Record<string, unknown>;
  children?: ResultTuple[];
  /** The arguments as the sender showed them; kept by `django-db` alone, as all that follows. */
  argsrepr?: string | null;
  kwargsrepr?: string | null;
  /** What django-celery-beat calls the entry that the task was sent for. */
  periodicTaskName?: string | null;
  /** What the application wants kept beside the result. */
  meta?: Record<string, unknown> | null;
}

/** One result to be stored. */
export interface MetaInput {
  taskId: string;
  state: State;
  result: unknown;
  traceback?: string | null;
  request?: MetaRequest | undefined;
  /** `resultExtended`: also name, arguments, worker, retries, queue and stamps. */
  extended?: boolean;
  /** ISO 8601, written when the state is final. */
  now: string;
}

/** The record of one result, its keys in Celery's order. Mirrors `celery/backends/base.py _get_result_meta`. */
export function taskMeta({ taskId, state, result, traceback, request, extended, now }: MetaInput): TaskMeta {
  return {
    status: state,
    // A key that is undefined would not be written, and Python looks it up.
    result: result === undefined ? null : result,
    traceback: traceback ?? null,
    children: request?.children ?? [],
    date_done: READY_STATES.has(state) ? now : null,
    ...(request?.group && { group_id: request.group }),
    ...(request?.parentId && { parent_id: request.parentId }),
    ...(extended && request?.name !== undefined && extendedMeta(request)),
    task_id: taskId,
  };
}

function extendedMeta(request: MetaRequest): Partial<TaskMeta> {
  const stamped = request.stamps && Object.keys(request.stamps).length > 0 ? (request.stampedHeaders ?? []) : null;
  return {
    name: request.name ?? null,
    args: request.args ?? null,
    kwargs: request.kwargs ?? null,
    worker: request.hostname ?? null,
    retries: request.retries ?? null,
    queue: request.routingKey ?? null,
    ...(stamped && { stamped_headers: stamped, ...stampsOf(stamped, request.stamps ?? {}) }),
  };
}

function stampsOf(names: readonly string[], stamps: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(stamps).filter(([name]) => names.includes(name)));
}

/** What a backend answers for a task it knows nothing of. */
export function pendingMeta(taskId: string): TaskMeta {
  return { status: "PENDING", result: null, traceback: null, children: [], date_done: null, task_id: taskId };
}

/**
 * A stored record, checked; what older versions leave out is filled in.
 * @throws InvalidTaskError when it is not one
 */
export function readMeta(value: unknown, taskId: string): TaskMeta {
  if (!isMapping(value) || typeof value.status !== "string") {
    throw new InvalidTaskError(`the stored result of ${taskId} is not one: it has no status`);
  }
  return {
    ...value,
    status: value.status,
    result: value.result ?? null,
    traceback: typeof value.traceback === "string" ? value.traceback : null,
    children: Array.isArray(value.children) ? value.children : [],
    date_done: typeof value.date_done === "string" ? value.date_done : null,
    task_id: typeof value.task_id === "string" ? value.task_id : taskId,
  };
}
