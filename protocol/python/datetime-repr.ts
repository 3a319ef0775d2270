import { DateTime, isoFormat, type PlainDate, type PlainTime } from "./datetime.ts";

const TIME = /^(\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d{1,6})\d*)?)?)?(.*)$/;
const ZONE = /^[+-](\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6}))?$/;
/** In microseconds. */
const DAY = 86_400e6;

/**
 * `datetime.datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=datetime.timezone.utc)`; a year that Python does not have is
 * shown in JavaScript's way.
 */
export function datetimeRepr(date: Date): string {
  if (Number.isNaN(date.getTime())) return "None";
  const iso = isoText(date);
  if (iso === undefined) return `<${date.toISOString()}>`;
  return `datetime.datetime(${[...dateFields(iso), ...timeFields(iso.slice(11))].join(", ")})`;
}

function isoText(date: Date): string | undefined {
  try {
    return date instanceof DateTime ? date.isoFormat() : isoFormat(date);
  } catch {
    return undefined;
  }
}

/** `datetime.date(2031, 5, 6)`. */
export function dateRepr(date: PlainDate): string {
  return `datetime.date(${dateFields(date.text).join(", ")})`;
}

/** `datetime.time(7, 8, 9, 123456)`. */
export function timeRepr(time: PlainTime): string {
  return `datetime.time(${timeFields(time.text).join(", ")})`;
}

function dateFields(iso: string): number[] {
  return iso.slice(0, 10).split("-").map(Number);
}

/** Hour and minute always, second and microsecond only when they are not zero, then the time zone. */
function timeFields(text: string): (number | string)[] {
  const [, hour, minute, second, fraction, zone] = TIME.exec(text) ?? [];
  const microsecond = Number((fraction ?? "").padEnd(6, "0"));
  const fields: (number | string)[] = [Number(hour ?? 0), Number(minute ?? 0)];
  if (Number(second ?? 0) || microsecond) fields.push(Number(second ?? 0));
  if (microsecond) fields.push(microsecond);
  if (zone) fields.push(`tzinfo=${zoneRepr(zone)}`);
  return fields;
}

/** Python counts the days, which are whole and may be negative, apart from the rest, which may not. */
function zoneRepr(zone: string): string {
  const [, hours, minutes, seconds, fraction = ""] = ZONE.exec(zone) ?? [];
  const size = (Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0)) * 1e6;
  const offset = (zone[0] === "-" ? -1 : 1) * (size + Number(fraction.padEnd(6, "0")));
  if (offset === 0) return "datetime.timezone.utc";
  const days = Math.floor(offset / DAY);
  const rest = offset - days * DAY;
  const fields = { days, seconds: Math.floor(rest / 1e6), microseconds: rest % 1e6 };
  const shown = Object.entries(fields).filter(([, value]) => value !== 0);
  return `datetime.timezone(datetime.timedelta(${shown.map(([name, value]) => `${name}=${value}`).join(", ")}))`;
}
