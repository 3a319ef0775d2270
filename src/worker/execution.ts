import { Ignore, Reject, Retry, SoftTimeLimitExceeded, TaskPredicate, type TimeLimitExceeded } from "../app/errors.ts";
import { readableError } from "../app/exception.ts";
import type { RetryOptions, Self } from "../app/task.ts";
import type { RunningTask } from "../app/task-request.ts";
import { addToChord } from "./add-to-chord.ts";
import type { WorkerContext } from "./context.ts";
import type { Request } from "./request.ts";
import type { ResultWriter } from "./result-writer.ts";
import { autoretry } from "./retries.ts";
import { makeSelf, RequestedReplacement, RequestedRetry } from "./self.ts";
import { BodyReader } from "./task-body.ts";
import { type TaskEnd, tellEnd } from "./task-end.ts";
import { limitTimers } from "./time-limits.ts";

/** A retry that a task asked for. */
export interface AskedRetry {
  readonly options: RetryOptions;
  readonly exc: unknown;
  readonly message: string;
}

/** How one run of a handler ended. */
export type Outcome =
  /** `repr`: of the value, where a child made it. */
  | { kind: "success"; value: unknown; repr?: string }
  /** `expected`: one of the errors that the task says it throws. */
  | { kind: "failure"; error: unknown; expected: boolean }
  | { kind: "retry"; retry: AskedRetry }
  | { kind: "replaced"; replacement: Pick<RequestedReplacement, "signature"> }
  | { kind: "rejected"; reject: Reject }
  | { kind: "ignored" }
  | { kind: "timeout"; error: TimeLimitExceeded }
  | { kind: "lost"; error: Error }
  | { kind: "terminated" | "cancelled"; error: Error };

/** A run under way: the task's view of itself, and its end. */
export interface Execution {
  running: RunningTask & { self: Self };
  outcome: Promise<Outcome>;
  /** Tells the hooks and receivers, where the handler ran. @returns the Reject that a hook threw */
  tell(end: TaskEnd): Promise<Reject | undefined>;
}

/** Stores a state of a running task. */
export type StoreState = (state: string, meta: unknown) => Promise<void>;

/**
 * Runs a handler here. Its end is the handler's own, unless the hard time limit or a termination comes first: then the
 * handler, which nothing in JavaScript can stop, goes on unheeded.
 */
export function execute(
  context: WorkerContext,
  request: Request,
  running: Pick<RunningTask, "request" | "embed">,
  storeState: StoreState,
): Execution {
  const abort = new LazyAbort();
  const whole = runningTask(context, request, running, storeState, abort);
  const outcome = new Promise<Outcome>((resolve) => {
    const cancelLimits = limitTimers(request, context.settings, {
      onSoft: () => abort.abort(new SoftTimeLimitExceeded("", { args: [] })),
      onHard: (error) => {
        abort.abort(error);
        resolve({ kind: "timeout", error });
      },
    });
    request.end = (kind, error) => {
      abort.abort(error);
      resolve({ kind, error });
    };
    callHandler(context, request, whole)
      .then(resolve)
      .finally(() => {
        request.end = undefined;
        cancelLimits();
      });
  });
  return { running: whole, outcome, tell: (end) => tellEnd(context, { request, self: whole.self }, end) };
}

/** A task that is about to run, with what it sees of itself. */
export function runningTask(
  context: WorkerContext,
  request: Request,
  running: Pick<RunningTask, "request" | "embed">,
  storeState: StoreState,
  abort: { readonly signal: AbortSignal },
): Execution["running"] {
  const { definition } = request;
  const self = makeSelf({
    name: request.task,
    appName: context.name,
    maxRetries: definition.maxRetries,
    defaultRetryDelay: definition.defaultRetryDelay,
    get signal() {
      return abort.signal;
    },
    request: running.request,
    log: context.log,
    storeState,
    sendEvent: (type, fields) => context.sendEvent(request.hostname, type, { uuid: request.id, ...fields }),
    addToChord: async (sig, options) => {
      const [, , embed] = request.body ?? (await new BodyReader(context).readForward(request.delivery.message));
      return addToChord(context, request, embed, sig, options);
    },
  });
  return { ...running, children: running.request.children, trail: definition.trail, self };
}

/** Calls a task's handler. Never rejects. */
export async function callHandler(
  { runAs, signals }: Pick<WorkerContext, "runAs" | "signals">,
  { definition }: Pick<Request, "definition">,
  running: Execution["running"],
): Promise<Outcome> {
  const { self } = running;
  const { id, task, args, kwargs } = running.request;
  const { beforeStart } = definition.options;
  const call = async (): Promise<unknown> => {
    if (beforeStart) await beforeStart.call(self, id, args, kwargs);
    return definition.call(await definition.bind(args, kwargs), self);
  };
  try {
    if (signals.has("task_prerun")) {
      await runAs(running, () => signals.send("task_prerun", { sender: task, taskId: id, args, kwargs }));
    }
    return { kind: "success", value: await runAs(running, call) };
  } catch (thrown) {
    const error = readableError(thrown);
    const outcome = outcomeOf(error);
    if (outcome.kind !== "failure") return outcome;
    const retry = autoretry(definition, error, self.request.retries, Math.random());
    const next = retry ? self.retry(retry) : error;
    if (next instanceof RequestedRetry) return { kind: "retry", retry: next };
    const expected = definition.options.throws?.some((type) => next instanceof type) ?? false;
    return { kind: "failure", error: next, expected };
  }
}

/** What hooks and receivers are told of a retry. */
export function retryEnd({ message, exc }: AskedRetry, results: ResultWriter): TaskEnd {
  const error = exc ?? null;
  const traceback = error === null ? null : results.record(error).traceback;
  return { state: "RETRY", reason: new Retry(error, null, message), exc: error, traceback };
}

function outcomeOf(error: unknown): Outcome {
  if (error instanceof TaskPredicate) {
    if (error instanceof RequestedRetry) return { kind: "retry", retry: error };
    if (error instanceof RequestedReplacement) return { kind: "replaced", replacement: error };
    if (error instanceof Reject) return { kind: "rejected", reject: error };
    if (error instanceof Ignore) return { kind: "ignored" };
  }
  return { kind: "failure", error, expected: false };
}

/** An AbortController that is only made when somebody looks: most tasks never do. */
export class LazyAbort {
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason && !this.#controller.signal.aborted) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#reason ??= reason;
    this.#controller?.abort(reason);
  }
}
