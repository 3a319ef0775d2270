import {
  CeleryError,
  ContentDisallowed,
  DecodeError,
  EncodeError,
  ImproperlyConfigured,
  InflatedSizeExceeded,
  InvalidTaskError,
  SecurityError,
  SerializerNotInstalled,
} from "../../protocol/errors.ts";

import type { Untyped } from "./untyped.ts";

export {
  CeleryError,
  ContentDisallowed,
  DecodeError,
  EncodeError,
  ImproperlyConfigured,
  InflatedSizeExceeded,
  InvalidTaskError,
  SecurityError,
  SerializerNotInstalled,
};

/** The broker or the result backend cannot be reached, or refused. */
export class OperationalError extends CeleryError {
  static override readonly pythonName = "kombu.exceptions.OperationalError";
}

/** A task was routed to a queue that `taskQueues` does not have, with `taskCreateMissingQueues` off. */
export class QueueNotFound extends CeleryError {
  static override readonly pythonName = "celery.exceptions.QueueNotFound";
}

/** What was asked for cannot be had here: a chord on a result backend that has none. */
export class NotImplementedError extends CeleryError {
  static override readonly pythonName = "builtins.NotImplementedError";
}

/** `get()` waited as long as it was told to. The task goes on. */
export class TimeoutError extends CeleryError {
  static override readonly pythonName = "celery.exceptions.TimeoutError";
}

/** What Python knows of an exception. */
export interface TaskErrorDetails {
  /** The class's qualified name. */
  type?: string;
  module?: string;
  /** The exception's `args`. */
  args?: unknown[];
  traceback?: string | null;
  /** What it came of. */
  cause?: unknown;
}

/**
 * An exception that a task ended with, as its result tells it, whichever language the task ran in.
 * `message` is what Python's `str()` of it says.
 */
export class TaskError extends CeleryError {
  static override readonly pythonName: string = "celery.exceptions.TaskError";
  /** The class's name in Python: `ValueError`, `Outer.Inner`. */
  readonly type: string;
  readonly module: string;
  readonly args: Untyped[];
  readonly traceback: string | null;

  constructor(message = "", details: TaskErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    const own = splitPythonName((new.target as typeof TaskError).pythonName);
    this.type = details.type ?? own.type;
    this.module = details.module ?? own.module;
    this.args = details.args ?? (message === "" ? [] : [message]);
    this.traceback = details.traceback ?? null;
  }
}

/** No worker that took the message knows the task. */
export class NotRegistered extends TaskError {
  static override readonly pythonName = "celery.exceptions.NotRegistered";
}

/** The task was retried as often as it may. */
export class MaxRetriesExceededError extends TaskError {
  static override readonly pythonName = "celery.exceptions.MaxRetriesExceededError";
}

/** The task was revoked, expired or terminated; `message` says which. */
export class TaskRevokedError extends TaskError {
  static override readonly pythonName = "celery.exceptions.TaskRevokedError";
}

/** A part of a chord failed, so its body never ran. */
export class ChordError extends TaskError {
  static override readonly pythonName = "celery.exceptions.ChordError";
}

/** The task ran longer than its soft time limit: the reason of its `AbortSignal`. */
export class SoftTimeLimitExceeded extends TaskError {
  static override readonly pythonName = "billiard.exceptions.SoftTimeLimitExceeded";
}

/** The task ran longer than its hard time limit. */
export class TimeLimitExceeded extends TaskError {
  static override readonly pythonName = "billiard.exceptions.TimeLimitExceeded";
}

/** The task was terminated by `revoke(terminate)`: the reason of its `AbortSignal`. */
export class Terminated extends TaskError {
  static override readonly pythonName = "billiard.exceptions.Terminated";
}

/** The worker running the task was lost. */
export class WorkerLostError extends TaskError {
  static override readonly pythonName = "billiard.exceptions.WorkerLostError";
}

/** What a wrong call of a task is, as Python's `TypeError`; rejected before anything is sent where the task is known. */
export class TaskTypeError extends TypeError {
  static readonly pythonName = "builtins.TypeError";
  override readonly name = "TypeError";
  readonly code = "ERR_TASK_TYPE_ERROR";
}

/** What a task throws to steer the worker and not to fail. */
export class TaskPredicate extends CeleryError {
  static override readonly pythonName: string = "celery.exceptions.TaskPredicate";
}

/** Thrown by a task that wants no state to be stored. */
export class Ignore extends TaskPredicate {
  static override readonly pythonName = "celery.exceptions.Ignore";
}

/** Thrown by a task to reject its message, which is stored as a failure unless it is put back. */
export class Reject extends TaskPredicate {
  static override readonly pythonName = "celery.exceptions.Reject";
  readonly reason: string | null;
  readonly requeue: boolean;
  readonly args: [reason: string | null, requeue: boolean];

  /** @param requeue true to put the message back into its queue */
  constructor(reason?: string, requeue = false) {
    super(reason ?? "");
    this.reason = reason ?? null;
    this.requeue = requeue;
    this.args = [this.reason, requeue];
  }
}

/** What `self.retry()` returns, to be thrown: the worker publishes the retry when it catches it. */
export class Retry extends TaskPredicate {
  static override readonly pythonName = "celery.exceptions.Retry";
  /** The error that made the task retry; it is what the RETRY state stores. */
  readonly exc: unknown;
  /** Seconds from now, or a moment. */
  readonly when: number | Date | null;

  constructor(exc: unknown, when: number | Date | null, text: string) {
    super(text, { cause: exc });
    this.exc = exc;
    this.when = when;
  }
}

/** Splits `module.Name` at its last dot, or `module:Outer.Inner` at its colon. */
export function splitPythonName(name: string): { module: string; type: string } {
  const colon = name.indexOf(":");
  const at = colon >= 0 ? colon : name.lastIndexOf(".");
  return at < 0 ? { module: "builtins", type: name } : { module: name.slice(0, at), type: name.slice(at + 1) };
}
