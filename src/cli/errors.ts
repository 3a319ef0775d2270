import { CeleryError } from "../index.ts";
import { EX_FAILURE, EX_USAGE } from "./exit-codes.ts";

/** A wrong command line: shown as one line, without a stack. */
export class UsageError extends Error {
  readonly exitCode: number = EX_USAGE;
}

/** What a command ends with when it could be understood and yet not be done. */
export class CommandFailure extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number = EX_FAILURE) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What a user is shown of an error, and what the process ends with. The stack comes with CELERIAC_DEBUG. */
export function explained(error: unknown): { text: string; exitCode: number } {
  if (error instanceof UsageError || error instanceof CommandFailure) {
    return { text: withStack(error, error.message), exitCode: error.exitCode };
  }
  if (isOurs(error)) {
    return { text: withStack(error, error.message), exitCode: EX_FAILURE };
  }
  // Anything else is a fault of the application's code or of ours: the stack is what helps.
  return { text: error instanceof Error ? (error.stack ?? error.message) : String(error), exitCode: EX_FAILURE };
}

function withStack(error: Error, message: string): string {
  return process.env.CELERIAC_DEBUG && error.stack ? error.stack : `Error: ${message}`;
}

/** Whether this package threw it, or the application's own copy of this package. */
export function isOurs(error: unknown): error is Error {
  if (error instanceof CeleryError) return true;
  return error instanceof Error && "pythonName" in error.constructor && "code" in error;
}
