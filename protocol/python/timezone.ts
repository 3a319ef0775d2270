import { DateTime, isoFormat } from "./datetime.ts";

/**
 * A moment as Python's `datetime.isoformat()` writes it in a time zone: `2031-05-06T02:08:09.123000-05:00`.
 *
 * @param timeZone an IANA name; `UTC` when left out
 * @throws RangeError for a time zone that the runtime does not know
 */
export function isoFormatIn(date: Date, timeZone = "UTC"): string {
  if (timeZone === "UTC") return isoFormat(date);
  const offset = zoneOffset(date, timeZone);
  const local = isoFormat(new Date(date.getTime() + offset.minutes * 60_000));
  return local.slice(0, -6) + offset.text;
}

/**
 * The moment that a text of Python's means, in milliseconds since the epoch.
 *
 * @param timeZone an IANA name: where the clock hangs that a text without an offset was read off
 * @throws RangeError for what is no ISO 8601 time
 */
export function momentIn(text: string, timeZone: string): number {
  const moment = new DateTime(text);
  const offset = moment.naive && timeZone !== "UTC" ? zoneOffset(moment, timeZone).minutes : 0;
  return moment.getTime() - offset * 60_000;
}

/** Python's `datetime.fromisoformat` takes text without an offset as local; these minutes say how far local is. */
export function zoneOffset(date: Date, timeZone: string): { text: string; minutes: number } {
  const parts = new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" }).formatToParts(date);
  const name = parts.find((part) => part.type === "timeZoneName")?.value ?? "GMT";
  const text = name.slice(3) || "+00:00";
  const [hours, minutes] = text.slice(1).split(":").map(Number);
  const total = (hours ?? 0) * 60 + (minutes ?? 0);
  return { text: text.slice(0, 6), minutes: text.startsWith("-") ? -total : total };
}
