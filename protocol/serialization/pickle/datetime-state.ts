import { DecodeError } from "../../errors.ts";
import { DateTime, PlainDate, PlainTime } from "../../python/datetime.ts";
import {
  type DateTimeFields,
  dateTimeFields,
  dateTimeText,
  type TimeFields,
  timeFields,
  timeText,
} from "../../python/datetime-fields.ts";
import { zoneOffset } from "../../python/timezone.ts";

/** A `tzinfo`: microseconds east of UTC, or the IANA name of a `zoneinfo.ZoneInfo`. */
export class Zone {
  readonly zone: number | string;

  constructor(zone: number | string) {
    this.zone = zone;
  }
}

/** Set in the month of a `datetime`, or the hour of a `time`: the later of two moments that a clock shows alike. */
const FOLD = 0x80;

/** The ten bytes of `datetime.__getstate__`. @throws DecodeError */
export function readDateTime(state: Uint8Array, zone: Zone | null): DateTime {
  const [century = 0, year = 0, month = 0, day = 0] = expectLength(state, 10, "datetime");
  const fields = { year: century * 256 + year, month: month & ~FOLD, day, ...clock(state.subarray(4)), offset: null };
  try {
    const naive = new DateTime(dateTimeText(fields));
    if (!zone) return naive;
    return new DateTime(dateTimeText({ ...fields, offset: offsetAt(zone, naive, (month & FOLD) !== 0) }));
  } catch (cause) {
    throw new DecodeError(`a pickled datetime is not one: ${(cause as Error).message}`, { cause });
  }
}

/** The four bytes of `date.__getstate__`. @throws DecodeError */
export function readDate(state: Uint8Array): PlainDate {
  const [century = 0, year = 0, month = 0, day = 0] = expectLength(state, 4, "date");
  try {
    const fields = { year: century * 256 + year, month, day, hour: 0, minute: 0, second: 0, microsecond: 0 };
    return new PlainDate(dateTimeText({ ...fields, offset: null }).slice(0, 10));
  } catch (cause) {
    throw new DecodeError(`a pickled date is not one: ${(cause as Error).message}`, { cause });
  }
}

/** The six bytes of `time.__getstate__`. @throws DecodeError */
export function readTime(state: Uint8Array, zone: Zone | null): PlainTime {
  const fields = clock(expectLength(state, 6, "time"));
  const { hour, minute, second, microsecond } = fields;
  if (hour > 23 || minute > 59 || second > 59 || microsecond > 999_999) {
    throw new DecodeError("a pickled time is not one");
  }
  // A named zone says nothing about a time without a date: Python calls it naive.
  return new PlainTime(timeText({ ...fields, offset: typeof zone?.zone === "number" ? zone.zone : null }));
}

/** What {@link readDateTime} takes, and the offset. @throws RangeError for a date that Python does not have */
export function dateTimeState(text: string): { state: Uint8Array; offset: number | null } {
  const fields: DateTimeFields = dateTimeFields(text);
  const { year, month, day, offset } = fields;
  return { state: Uint8Array.from([year >> 8, year & 255, month, day, ...clockState(fields)]), offset };
}

/** What {@link readDate} takes. */
export function dateState(text: string): Uint8Array {
  return dateTimeState(text).state.slice(0, 4);
}

/** What {@link readTime} takes, and the offset. */
export function timeState(text: string): { state: Uint8Array; offset: number | null } {
  const fields = timeFields(text);
  return { state: Uint8Array.from(clockState(fields)), offset: fields.offset };
}

function clock(state: Uint8Array): TimeFields {
  const [hour = 0, minute = 0, second = 0, high = 0, middle = 0, low = 0] = state;
  return { hour: hour & ~FOLD, minute, second, microsecond: (high << 16) | (middle << 8) | low, offset: null };
}

function clockState({ hour, minute, second, microsecond }: TimeFields): number[] {
  return [hour, minute, second, microsecond >> 16, (microsecond >> 8) & 255, microsecond & 255];
}

/** Microseconds east of UTC. Where a clock shows a time twice, or never, `fold` takes the zone's later offset. */
function offsetAt({ zone }: Zone, local: Date, fold: boolean): number {
  if (typeof zone === "number") return zone;
  const minutesAt = (milliseconds: number): number => zoneOffset(new Date(milliseconds), zone).minutes;
  const dayMs = 86_400_000;
  const [before, after] = [minutesAt(local.getTime() - dayMs), minutesAt(local.getTime() + dayMs)];
  const holds = (minutes: number): boolean => minutesAt(local.getTime() - minutes * 60_000) === minutes;
  const later = holds(before) === holds(after) ? fold : holds(after);
  return (later ? after : before) * 60_000_000;
}

function expectLength(state: Uint8Array, length: number, type: string): Uint8Array {
  if (state.length !== length)
    throw new DecodeError(`a pickled ${type} has ${state.length} bytes in the place of ${length}`);
  return state;
}
