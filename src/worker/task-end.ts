import { Reject, TimeLimitExceeded } from "../app/errors.ts";
import type { ErrorInfo, Signals } from "../app/signals.ts";
import type { Self, TaskDefinition } from "../app/task.ts";
import type { TaskHooks } from "../app/task-hooks.ts";
import type { Logger } from "../logger.ts";
import type { Request } from "./request.ts";

/** How a run ended, for those who are told of it. */
export type TaskEnd =
  /** `runtime`: seconds. */
  | { state: "SUCCESS"; retval: unknown; runtime: number }
  | { state: "FAILURE"; exception: unknown; traceback: string }
  /** `reason`: what asked for it; `exc`: why, or null. */
  | { state: "RETRY"; reason: unknown; exc: unknown; traceback: string | null }
  | { state: "IGNORED" | "REJECTED"; exception: unknown };

/** What telling needs of the application. */
export interface Telling {
  readonly log: Logger;
  readonly signals: Signals;
  /** True to throw what a hook throws. */
  readonly hooksThrow?: boolean;
}

/** A run that ended, as its hooks and receivers see it. */
export interface EndedRun {
  readonly request: Pick<Request, "id" | "task" | "name" | "definition" | "received">;
  readonly self: Self;
}

const HOOKS = ["onSuccess", "onFailure", "onRetry", "afterReturn"] as const;
const SIGNALS = ["task_success", "task_failure", "task_retry", "task_postrun"] as const;

/** Whether anybody wants to know how a task ends, but the worker. */
export function isFollowed({ options }: TaskDefinition, signals: Signals): boolean {
  return HOOKS.some((hook) => options[hook] !== undefined) || SIGNALS.some((name) => signals.has(name));
}

/**
 * Calls a task's hooks and sends its signals, in Celery's order. Never rejects. Mirrors `celery/app/trace.py trace_task`.
 * @returns the Reject that a hook threw, which is the message's end
 */
export async function tellEnd(telling: Telling, run: EndedRun, end: TaskEnd): Promise<Reject | undefined> {
  const { signals } = telling;
  if (!isFollowed(run.request.definition, signals)) return undefined;
  const rejects = [await tellHooks(telling, run, end)];
  const { args, kwargs } = run.self.request;
  if (signals.has("task_postrun")) {
    const retval = end.state === "SUCCESS" ? end.retval : end.state === "RETRY" ? end.reason : end.exception;
    const { id: taskId, task: sender } = run.request;
    await signals.send("task_postrun", { sender, taskId, args, kwargs, retval, state: end.state });
  }
  return rejects.find(Boolean);
}

/** The same, but for `task_postrun`: for the end of a run that was ended from outside. */
export async function tellHooks(telling: Telling, run: EndedRun, end: TaskEnd): Promise<Reject | undefined> {
  switch (end.state) {
    case "SUCCESS":
      return tellSuccess(telling, run, end);
    case "FAILURE":
      return tellFailure(telling, run, end);
    case "RETRY":
      return tellRetry(telling, run, end);
    default:
      return undefined;
  }
}

async function tellSuccess(
  telling: Telling,
  run: EndedRun,
  { retval, runtime }: Extract<TaskEnd, { state: "SUCCESS" }>,
): Promise<Reject | undefined> {
  const { request, self } = run;
  const { args, kwargs } = self.request;
  const first = await callHook(telling, run, "onSuccess", (hook) => hook.call(self, retval, request.id, args, kwargs));
  await telling.signals.send("task_success", { sender: request.task, taskId: request.id, result: retval, runtime });
  const second = await callHook(telling, run, "afterReturn", (hook) =>
    hook.call(self, "SUCCESS", retval, request.id, args, kwargs, null),
  );
  return first ?? second;
}

async function tellFailure(
  telling: Telling,
  run: EndedRun,
  { exception, traceback }: Extract<TaskEnd, { state: "FAILURE" }>,
): Promise<Reject | undefined> {
  const { request, self } = run;
  const { args, kwargs } = self.request;
  const einfo: ErrorInfo = { exception, traceback };
  const first = await callHook(telling, run, "onFailure", (hook) =>
    hook.call(self, exception, request.id, args, kwargs, einfo),
  );
  const afterReturn = (): Promise<Reject | undefined> =>
    callHook(telling, run, "afterReturn", (hook) =>
      hook.call(self, "FAILURE", exception, request.id, args, kwargs, einfo),
    );
  // Of the hard time limit, Celery's worker tells in another order than its child of an error.
  if (exception instanceof TimeLimitExceeded) {
    const second = await afterReturn();
    await tellFailureSignal(telling, run, einfo);
    return first ?? second;
  }
  await tellFailureSignal(telling, run, einfo);
  const second = await afterReturn();
  return first ?? second;
}

/** Sends `task_failure` alone: for a failure that the task's own hooks do not hear of. */
export async function tellFailureSignal(
  { signals }: Telling,
  { request, self }: EndedRun,
  einfo: ErrorInfo,
): Promise<void> {
  if (!signals.has("task_failure")) return;
  const { args, kwargs } = self.request;
  const { exception, traceback } = einfo;
  const event = { sender: request.task, taskId: request.id, args, kwargs, exception, traceback, einfo };
  await signals.send("task_failure", event);
}

async function tellRetry(
  telling: Telling,
  run: EndedRun,
  { reason, exc, traceback }: Extract<TaskEnd, { state: "RETRY" }>,
): Promise<Reject | undefined> {
  const { request, self } = run;
  const { args, kwargs } = self.request;
  const einfo = traceback === null ? null : { exception: reason, traceback };
  const reject = await callHook(telling, run, "onRetry", (hook) =>
    hook.call(self, exc, request.id, args, kwargs, einfo),
  );
  await telling.signals.send("task_retry", { sender: request.task, request: self.request, reason, einfo });
  return reject;
}

/** What a hook throws changes nothing: the outcome is stored. A Reject is about the message, and is passed on. */
async function callHook<H extends (typeof HOOKS)[number]>(
  { log, signals, hooksThrow }: Telling,
  { request }: EndedRun,
  name: H,
  call: (hook: NonNullable<TaskHooks[H]>) => unknown,
): Promise<Reject | undefined> {
  const hook = request.definition.options[name];
  if (!hook) return undefined;
  try {
    await call(hook as NonNullable<TaskHooks[H]>);
    return undefined;
  } catch (error) {
    if (hooksThrow) throw error;
    if (error instanceof Reject) return error;
    const { id, task } = request;
    log.error({ err: error, id, task }, `Task ${request.name}[${id}] ${name} handler raised: ${error}`);
    if (signals.has("task_internal_error")) {
      const traceback = error instanceof Error ? (error.stack ?? String(error)) : String(error);
      const event = { sender: task, taskId: id, request: request.received(), exception: error, traceback };
      await signals.send("task_internal_error", event);
    }
    return undefined;
  }
}
