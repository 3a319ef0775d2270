import { parseIsoTime } from "./datetime.ts";

/** What Python's `datetime` and `time` hold, apart. */
export interface TimeFields {
  hour: number;
  minute: number;
  second: number;
  microsecond: number;
  /** Microseconds east of UTC; null when naive. */
  offset: number | null;
}

/** A moment as Python's `datetime` holds it. */
export interface DateTimeFields extends TimeFields {
  year: number;
  /** 1 to 12. */
  month: number;
  day: number;
}

const TIME = /^(\d{2}):?(\d{2})?:?(\d{2})?(?:[.,](\d{1,9}))?(Z|[+-].*)?$/i;
const OFFSET = /^([+-])(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6}))?$/;

/** @param text ISO 8601 @throws RangeError when it is no date */
export function dateTimeFields(text: string): DateTimeFields {
  parseIsoTime(text);
  const [year, month, day] = text.slice(0, 10).split("-").map(Number) as [number, number, number];
  return { year, month, day, ...timeFields(text.slice(11) || "00") };
}

/** @param text ISO 8601, without a date @throws RangeError when it is no time */
export function timeFields(text: string): TimeFields {
  const match = TIME.exec(text);
  if (!match) throw new RangeError(`Invalid isoformat string: '${text}'`);
  const [hour, minute, second] = match.slice(1, 4).map((part) => Number(part ?? 0)) as [number, number, number];
  const microsecond = Number((match[4] ?? "").slice(0, 6).padEnd(6, "0"));
  return { hour, minute, second, microsecond, offset: offsetOf(match[5]) };
}

function offsetOf(text: string | undefined): number | null {
  if (!text) return null;
  if (text.toUpperCase() === "Z") return 0;
  const match = OFFSET.exec(text);
  if (!match) throw new RangeError(`not an offset from UTC: '${text}'`);
  const [hours, minutes, seconds] = match.slice(2, 5).map((part) => Number(part ?? 0)) as [number, number, number];
  const microseconds = Number((match[5] ?? "").padEnd(6, "0"));
  const total = ((hours * 60 + minutes) * 60 + seconds) * 1e6 + microseconds;
  return match[1] === "-" ? -total : total;
}

/** As Python's `datetime.isoformat()`. @param separator between date and time */
export function dateTimeText(fields: DateTimeFields, separator = "T"): string {
  const { year, month, day } = fields;
  return `${pad(year, 4)}-${pad(month)}-${pad(day)}${separator}${timeText(fields)}`;
}

/** As Python's `time.isoformat()`. */
export function timeText({ hour, minute, second, microsecond, offset }: TimeFields): string {
  const fraction = microsecond ? `.${pad(microsecond, 6)}` : "";
  return `${pad(hour)}:${pad(minute)}:${pad(second)}${fraction}${offset === null ? "" : offsetText(offset)}`;
}

function offsetText(offset: number): string {
  const microseconds = Math.abs(offset);
  const seconds = Math.floor(microseconds / 1e6);
  const rest = microseconds % 1e6 ? `.${pad(microseconds % 1e6, 6)}` : "";
  const shown = seconds % 60 || rest ? `:${pad(seconds % 60)}${rest}` : "";
  return `${offset < 0 ? "-" : "+"}${pad(Math.floor(seconds / 3600))}:${pad(Math.floor(seconds / 60) % 60)}${shown}`;
}

function pad(value: number, width = 2): string {
  return String(value).padStart(width, "0");
}
