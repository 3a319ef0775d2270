import { repr } from "../../protocol/python/repr.ts";
import {
  exceptionText,
  type PythonException,
  readException,
  type StoredException,
} from "../../protocol/result/exception.ts";
import {
  ChordError,
  MaxRetriesExceededError,
  NotRegistered,
  SoftTimeLimitExceeded,
  splitPythonName,
  TaskError,
  type TaskErrorDetails,
  TaskRevokedError,
  Terminated,
  TimeLimitExceeded,
  WorkerLostError,
} from "./errors.ts";

/** JavaScript's own errors and the Python builtins that mean the same. */
const BUILTINS: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  [Error, "Exception"],
  [EvalError, "Exception"],
  [AggregateError, "Exception"],
  [TypeError, "TypeError"],
  [RangeError, "ValueError"],
  [URIError, "ValueError"],
  [SyntaxError, "SyntaxError"],
  [ReferenceError, "NameError"],
]);

/** The errors that a stored exception of their Python name comes back as. */
const BY_PYTHON_NAME: ReadonlyMap<string, new (message: string, details: TaskErrorDetails) => TaskError> = new Map(
  [
    ChordError,
    MaxRetriesExceededError,
    NotRegistered,
    SoftTimeLimitExceeded,
    TaskRevokedError,
    Terminated,
    TimeLimitExceeded,
    WorkerLostError,
  ].map((type) => [type.pythonName, type]),
);

/**
 * What was thrown, if it can be looked at: a getter or a proxy of its own may throw again, and whoever waits for the
 * task is to learn of it all the same.
 */
export function readableError(thrown: unknown): unknown {
  try {
    if (thrown instanceof Error) {
      const { message, stack, cause, args } = thrown as Error & { args?: unknown };
      void [thrown.constructor, message, stack, cause instanceof Error, args];
    }
    return thrown;
  } catch (cause) {
    return new Error("what was thrown cannot be read", { cause });
  }
}

/**
 * What Python would see of something thrown in JavaScript.
 *
 * @param appName the module of a class that does not say its Python name
 */
export function pythonException(thrown: unknown, appName: string): PythonException {
  if (!(thrown instanceof Error)) return { type: "Exception", module: "builtins", args: [thrown ?? null] };
  if (thrown instanceof TaskError) return { type: thrown.type, module: thrown.module, args: thrown.args };
  const own = (thrown as { args?: unknown }).args;
  return { ...className(thrown.constructor, appName), args: Array.isArray(own) ? own : [thrown.message] };
}

function className(type: unknown, appName: string): { module: string; type: string } {
  const builtin = BUILTINS.get(type);
  if (builtin) return { module: "builtins", type: builtin };
  if (typeof type !== "function") return { module: "builtins", type: "Exception" };
  const name = Object.hasOwn(type, "pythonName") ? (type as { pythonName?: unknown }).pythonName : undefined;
  if (typeof name === "string") return splitPythonName(name);
  return { module: appName, type: type.name || "Exception" };
}

/**
 * The form an exception is stored in. Arguments that the serializer cannot write are stored as their repr, as
 * `celery/utils/serialization.py ensure_serializable` does.
 *
 * @param encodable whether the result serializer can write a value
 */
export function storedException(exception: PythonException, encodable: (value: unknown) => boolean): StoredException {
  return {
    exc_type: exception.type,
    exc_message: exception.args.map((arg) => (encodable(arg) ? arg : repr(arg))),
    exc_module: exception.module,
  };
}

/** The stored traceback: where JavaScript says it happened, ending as Python's does. Never empty. */
export function tracebackOf(thrown: unknown, exception: PythonException): string {
  const last = `${exception.type}: ${exceptionText(exception)}`;
  if (!(thrown instanceof Error)) return last;
  const cause = thrown.cause instanceof Error ? `\nCaused by: ${thrown.cause.stack}` : "";
  return `${thrown.stack ?? thrown}${cause}\n${last}`;
}

/** The error that `get()` rejects with for a stored exception. */
export function taskError(stored: unknown, traceback: string | null): TaskError {
  const { type, module, args } = readException(stored);
  const details = { type, module, args, traceback };
  const known = BY_PYTHON_NAME.get(`${module}.${type}`);
  const message = exceptionText(details);
  return known ? new known(message, details) : new TaskError(message, details);
}
