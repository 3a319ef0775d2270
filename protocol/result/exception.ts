import { isMapping } from "../message/headers.ts";
import { ExceptionValue } from "../python/exception-value.ts";
import { repr, stringRepr } from "../python/repr.ts";

/** An exception as every serializer but pickle stores it. Mirrors `celery/backends/base.py prepare_exception`. */
export interface StoredException {
  /** The class's qualified name: `Outer.Inner`. */
  exc_type: string;
  /** The exception's `args`. */
  exc_message: unknown;
  exc_module: string;
}

/** An exception read from a result. */
export interface PythonException {
  type: string;
  module: string;
  args: unknown[];
}

/**
 * The exception in a stored result. Older versions stored a text in the place of the args; a result that is no
 * exception at all is shown rather than refused, so that the caller sees what was there.
 */
export function readException(stored: unknown): PythonException {
  if (stored instanceof ExceptionValue) return stored;
  if (!isMapping(stored) || typeof stored.exc_type !== "string") {
    return { type: "Exception", module: "builtins", args: stored === null || stored === undefined ? [] : [stored] };
  }
  const message = stored.exc_message;
  const args = Array.isArray(message) ? message : message === undefined || message === null ? [] : [message];
  const module = typeof stored.exc_module === "string" ? stored.exc_module : "celery.exceptions";
  return { type: stored.exc_type, module, args };
}

/** What Python's `str(exc)` would say: nothing, the only argument, or all of them as a tuple. */
export function exceptionText({ type, args }: { type: string; args: readonly unknown[] }): string {
  if (args.length === 0) return "";
  if (args.length > 1) return `(${args.map((arg) => repr(arg)).join(", ")})`;
  const [arg] = args;
  // A KeyError shows its key quoted, so that an empty one can be seen.
  if (typeof arg === "string") return type === "KeyError" || type === "NotRegistered" ? stringRepr(arg) : arg;
  return repr(arg);
}

/** What Python's `repr(exc)` would say: `ValueError('bad')`. */
export function exceptionRepr({ type, args }: { type: string; args: readonly unknown[] }): string {
  const name = type.slice(type.lastIndexOf(".") + 1);
  return `${name}(${args.map((arg) => repr(arg)).join(", ")})`;
}
