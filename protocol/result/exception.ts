import { isMapping } from "../message/headers.ts";
import { tuple } from "../python/collections.ts";
import { ExceptionValue } from "../python/exception-value.ts";
import { repr } from "../python/repr.ts";
import { str } from "../python/str.ts";

/** `OSError`, its other names, and those of its errors that have a class of their own. */
const OS_ERRORS: ReadonlySet<string> = new Set([
  ...["OSError", "IOError", "EnvironmentError", "BlockingIOError", "ChildProcessError", "ConnectionError"],
  ...["BrokenPipeError", "ConnectionAbortedError", "ConnectionRefusedError", "ConnectionResetError", "FileExistsError"],
  ...["FileNotFoundError", "InterruptedError", "IsADirectoryError", "NotADirectoryError", "PermissionError"],
  ...["ProcessLookupError", "TimeoutError"],
]);

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

/**
 * What Python's `str(exc)` would say: nothing, the only argument, or all of them as a tuple, but for the classes that
 * say it in their own way.
 */
export function exceptionText({ module, type, args }: PythonException): string {
  const own = module === "builtins" ? builtinText(type, args) : module.startsWith("billiard") && limitText(type, args);
  if (typeof own === "string") return own;
  if (args.length === 0) return "";
  if (args.length > 1) return repr(tuple(args));
  // A KeyError shows its key quoted, so that an empty one can be seen.
  return type === "KeyError" || type === "NotRegistered" ? repr(args[0]) : str(args[0]);
}

/** Mirrors `__str__` of CPython's `Objects/exceptions.c`. */
function builtinText(type: string, args: readonly unknown[]): string | undefined {
  if (OS_ERRORS.has(type) && args.length >= 2 && args.length <= 5) return `[Errno ${str(args[0])}] ${str(args[1])}`;
  if (type === "SyntaxError" && args.length === 2) return syntaxText(args);
  if (type === "UnicodeDecodeError" && args.length === 5) {
    const [encoding, bytes, start, end, reason] = args;
    if (!(bytes instanceof Uint8Array) || typeof start !== "number" || typeof end !== "number") return undefined;
    const byte = bytes[start];
    const what =
      end === start + 1 && byte !== undefined
        ? `byte 0x${byte.toString(16).padStart(2, "0")} in position ${start}`
        : `bytes in position ${start}-${end - 1}`;
    return `'${str(encoding)}' codec can't decode ${what}: ${str(reason)}`;
  }
  return undefined;
}

/** `bad syntax (file.py, line 3)` */
function syntaxText([message, details]: readonly unknown[]): string {
  const [file, line] = Array.isArray(details) ? details : [];
  const where = typeof file === "string" ? [file.slice(file.lastIndexOf("/") + 1)] : [];
  if (typeof line === "number") where.push(`line ${line}`);
  return where.length > 0 ? `${str(message)} (${where.join(", ")})` : str(message);
}

/** Mirrors `billiard/exceptions.py`. */
function limitText(type: string, args: readonly unknown[]): string | undefined {
  if (type !== "TimeLimitExceeded" && type !== "SoftTimeLimitExceeded") return undefined;
  return `${type}${repr(tuple(args))}`;
}

/** What Python's `repr(exc)` would say: `ValueError('bad')`. */
export function exceptionRepr({ type, args }: { type: string; args: readonly unknown[] }): string {
  const name = type.slice(type.lastIndexOf(".") + 1);
  return `${name}(${args.map((arg) => repr(arg)).join(", ")})`;
}
