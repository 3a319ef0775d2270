import { CeleryError, EncodeError, OperationalError } from "../../app/errors.ts";
import type { ErrorKind } from "./database.ts";

/** What tries again have to know. */
export interface AttemptOptions {
  /** The backend's URL, its password masked, for errors. */
  url: string;
  timeoutMs: number;
  kindOf(error: unknown): ErrorKind;
  /** Called when a table is not there any more: it may be made again. */
  onMissing(): void;
  closed(): boolean;
}

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 250;

/**
 * Makes a call, again and again while that may help: connections that broke, servers that start, locks.
 * @throws EncodeError for a value that does not fit its column; OperationalError for anything else, and when the
 *   time is over
 */
export async function persistently<T>(options: AttemptOptions, call: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + options.timeoutMs;
  let missing = false;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    if (options.closed()) throw new OperationalError("the result backend is closed");
    try {
      return await call();
    } catch (error) {
      // What does not come from the driver is said as it is.
      if (error instanceof CeleryError) throw error;
      const kind = options.kindOf(error);
      if (kind === "value") throw new EncodeError(`${options.url}: ${reasonOf(error)}`, { cause: error });
      const helps = kind === "again" || (kind === "missing" && !missing);
      if (!helps || performance.now() + pause > deadline) {
        throw new OperationalError(`${options.url}: ${reasonOf(error)}`, { cause: error });
      }
      if (kind === "missing") {
        missing = true;
        options.onMissing();
      }
      // Not all at the same time again.
      await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random())));
    }
  }
}

/** Of a host with several addresses the driver gives one error for each. */
function reasonOf(error: unknown): string {
  const one = error instanceof AggregateError ? (error.errors[0] ?? error) : error;
  return (one as Error).message || String(one);
}
