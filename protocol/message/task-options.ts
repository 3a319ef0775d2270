import { DateTime, isoFormat } from "../python/datetime.ts";
import { isoFormatIn } from "../python/timezone.ts";

/** What is another one in each message of a task. */
export interface TaskCall {
  taskId: string;
  args?: readonly unknown[];
  kwargs?: Record<string, unknown>;
  /** The task's own id unless given. */
  rootId?: string | null;
  parentId?: string | null;
  now: Date;
}

/** How a task is sent; the fields are those of `celery/app/amqp.py as_task_v2`. */
export interface TaskOptions {
  /** Seconds from `now`. */
  countdown?: number | null;
  /** Text goes out as it is. */
  eta?: Date | string | null;
  /** Seconds from `now`, or a moment. */
  expires?: number | Date | string | null;
  groupId?: string | null;
  groupIndex?: number | null;
  retries?: number;
  chord?: unknown;
  callbacks?: readonly unknown[] | null;
  errbacks?: readonly unknown[] | null;
  chain?: readonly unknown[] | null;
  replyTo?: string | null;
  /** Seconds. */
  timeLimit?: number | null;
  /** Seconds. */
  softTimeLimit?: number | null;
  shadow?: string | null;
  ignoreResult?: boolean | null;
  argsrepr?: string | null;
  kwargsrepr?: string | null;
  stampedHeaders?: string[] | null;
  stamps?: Record<string, unknown>;
  replacedTaskNesting?: number;
  /** Who sends: `gen<pid>@<host>`. */
  origin: string;
  /** IANA name; `UTC` when left out. */
  timeZone?: string;
  /** How deep the reprs show, `taskReprMaxlevels`. */
  reprMaxLevels?: number;
}

/** The earliest moment that C's `mktime` takes; Celery refuses to count further back. */
const INT_MIN = -2_147_483_648;

/**
 * The `eta` header: a countdown counts, anything else is told as it is.
 * @throws RangeError for a countdown that no clock holds
 */
export function etaHeader({ countdown, eta, timeZone }: TaskOptions, now: Date): string | null {
  return countdown ? after(now, countdown, "countdown", timeZone) : isoText(eta);
}

/** @throws RangeError for seconds that no clock holds */
export function expiresHeader({ expires, timeZone }: TaskOptions, now: Date): string | null {
  return typeof expires === "number" ? after(now, expires, "expires", timeZone) : isoText(expires);
}

function after(now: Date, seconds: number, what: string, timeZone?: string): string {
  if (!(seconds >= INT_MIN) || !Number.isFinite(seconds)) throw new RangeError(`${what} is out of range: ${seconds}`);
  return isoFormatIn(new Date(now.getTime() + seconds * 1000), timeZone);
}

function isoText(moment: Date | string | null | undefined): string | null {
  if (!moment) return null;
  if (typeof moment === "string") return moment;
  return moment instanceof DateTime ? moment.isoFormat() : isoFormat(moment);
}
