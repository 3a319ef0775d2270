import type { ErrorInfo } from "./signals.ts";
import type { Self } from "./task.ts";

/**
 * What a task does beside its work. Called as methods of `self`, where the handler runs, and waited for; the arguments
 * are those that the task was called with. Mirrors the handlers of `celery/app/task.py Task`.
 */
export interface TaskHooks {
  /** Before the handler; what it throws ends the task as if the handler had. */
  beforeStart?(this: Self, taskId: string, args: unknown[], kwargs: Record<string, unknown>): unknown;
  /** The result is stored, and what follows was sent. What it throws is logged. */
  onSuccess?(this: Self, retval: unknown, taskId: string, args: unknown[], kwargs: Record<string, unknown>): unknown;
  /** The failure is stored, also that of the hard time limit. What it throws is logged. */
  onFailure?(
    this: Self,
    exc: unknown,
    taskId: string,
    args: unknown[],
    kwargs: Record<string, unknown>,
    einfo: ErrorInfo,
  ): unknown;
  /** The retry was sent; `exc` is the error that asked for it, or null. What it throws is logged. */
  onRetry?(
    this: Self,
    exc: unknown,
    taskId: string,
    args: unknown[],
    kwargs: Record<string, unknown>,
    einfo: ErrorInfo | null,
  ): unknown;
  /** Last, after a success or a failure: `retval` is the result or the error. What it throws is logged. */
  afterReturn?(
    this: Self,
    status: string,
    retval: unknown,
    taskId: string,
    args: unknown[],
    kwargs: Record<string, unknown>,
    einfo: ErrorInfo | null,
  ): unknown;
}
