import { Ignore, Reject, SoftTimeLimitExceeded, TaskPredicate, TimeLimitExceeded } from "../app/errors.ts";
import { readableError } from "../app/exception.ts";
import type { Settings } from "../app/settings.ts";
import type { Self } from "../app/task.ts";
import type { RunningTask } from "../app/task-request.ts";
import { after } from "../timer.ts";
import type { WorkerContext } from "./context.ts";
import type { Request } from "./request.ts";
import { makeSelf, RequestedReplacement, RequestedRetry } from "./self.ts";

/** How one run of a handler ended. */
export type Outcome =
  | { kind: "success"; value: unknown }
  | { kind: "failure"; error: unknown }
  | { kind: "retry"; retry: RequestedRetry }
  | { kind: "replaced"; replacement: RequestedReplacement }
  | { kind: "rejected"; reject: Reject }
  | { kind: "ignored" }
  | { kind: "timeout"; error: TimeLimitExceeded }
  | { kind: "terminated" | "cancelled"; error: Error };

/** A run under way: the task's view of itself, and its end. */
export interface Execution {
  running: RunningTask & { self: Self };
  outcome: Promise<Outcome>;
}

/**
 * Runs a handler. Its end is the handler's own, unless the hard time limit or a termination comes first: then the
 * handler, which nothing in JavaScript can stop, goes on unheeded.
 */
export function execute(
  context: WorkerContext,
  request: Request,
  running: Omit<RunningTask, "children">,
  storeState: (state: string, meta: unknown) => Promise<void>,
): Execution {
  const { definition } = request;
  const abort = new LazyAbort();
  const { args, kwargs } = running.request;
  const self = makeSelf({
    name: request.task,
    appName: context.name,
    maxRetries: definition.maxRetries,
    defaultRetryDelay: definition.defaultRetryDelay,
    get signal() {
      return abort.signal;
    },
    request: running.request,
    storeState,
  });
  const whole = { ...running, children: [], self };
  const outcome = new Promise<Outcome>((resolve) => {
    const cancels = limitTimers(request, context.settings, abort, resolve);
    request.end = (kind, error) => {
      abort.abort(error);
      resolve({ kind, error });
    };
    const call = async (): Promise<unknown> => definition.call(await definition.bind(args, kwargs), self);
    context
      .runAs(whole, call)
      .then(
        (value) => resolve({ kind: "success", value }),
        (thrown: unknown) => resolve(outcomeOf(readableError(thrown))),
      )
      .finally(() => {
        request.end = undefined;
        for (const cancel of cancels) cancel();
      });
  });
  return { running: whole, outcome };
}

function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof TaskPredicate)) return { kind: "failure", error };
  if (error instanceof RequestedRetry) return { kind: "retry", retry: error };
  if (error instanceof RequestedReplacement) return { kind: "replaced", replacement: error };
  if (error instanceof Reject) return { kind: "rejected", reject: error };
  if (error instanceof Ignore) return { kind: "ignored" };
  return { kind: "failure", error };
}

function limitTimers(
  request: Request,
  defaults: Pick<Settings, "taskTimeLimit" | "taskSoftTimeLimit">,
  abort: LazyAbort,
  resolve: (outcome: Outcome) => void,
): (() => void)[] {
  const soft = request.softTimeLimit ?? defaults.taskSoftTimeLimit;
  const hard = request.timeLimit ?? defaults.taskTimeLimit;
  const cancels: (() => void)[] = [];
  if (soft) cancels.push(after(soft * 1000, () => abort.abort(new SoftTimeLimitExceeded("", { args: [] }))));
  if (hard) {
    const expire = (): void => {
      const error = new TimeLimitExceeded(`TimeLimitExceeded(${hard},)`, { args: [hard] });
      abort.abort(error);
      resolve({ kind: "timeout", error });
    };
    cancels.push(after(hard * 1000, expire));
  }
  return cancels;
}

/** An AbortController that is only made when somebody looks: most tasks never do. */
class LazyAbort {
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
