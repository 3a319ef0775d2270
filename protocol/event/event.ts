import { Float } from "../python/numbers.ts";

/** An event as it is sent: a dict whose only fixed part is its type. Mirrors `celery/events/event.py Event`. */
export interface CeleryEvent {
  type: string;
  /** Seconds since the epoch. */
  timestamp: number;
  hostname: string;
  /** Hours west of Greenwich. */
  utcoffset: unknown;
  pid: number;
  /** The Lamport clock; null for an event outside of it. */
  clock: number | null;
  [field: string]: unknown;
}

/** The routing key of an event: `task-sent` goes by `task.sent`. */
export function eventRoutingKey(type: string): string {
  return type.replaceAll("-", ".");
}

/** The group of an event, `task` of `task-sent`; a worker sends those of a group together as `<group>.multi`. */
export function eventGroup(type: string): string {
  return type.split("-", 1)[0] as string;
}

/** How many events of one group a worker holds back at the most. */
export const EVENT_BUFFER_LIMIT = 24;

/**
 * The field `utcoffset`. Mirrors `celery/utils/time.py utcoffset`, which cuts to whole hours up to 5.6.
 * @param minutes west of Greenwich
 */
export function utcoffset(minutes: number, whole: boolean): number | Float {
  return whole ? Math.floor(minutes / 60) : new Float(minutes / 60);
}
