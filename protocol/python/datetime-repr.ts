import { DateTime, isoFormat, type PlainDate, type PlainTime } from "./datetime.ts";

const TIME = /^(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?(.*)$/;

/** `datetime.datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=datetime.timezone.utc)`. */
export function datetimeRepr(date: Date): string {
  if (Number.isNaN(date.getTime())) return "None";
  const iso = date instanceof DateTime ? date.isoFormat() : isoFormat(date);
  return `datetime.datetime(${[...dateFields(iso), ...timeFields(iso.slice(11))].join(", ")})`;
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

function zoneRepr(zone: string): string {
  const [hours, minutes, seconds] = zone.slice(1).split(":").map(Number);
  const total = (hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0);
  if (!total || zone.toUpperCase() === "Z") return "datetime.timezone.utc";
  if (zone[0] === "-") return `datetime.timezone(datetime.timedelta(days=-1, seconds=${86400 - total}))`;
  return `datetime.timezone(datetime.timedelta(seconds=${total}))`;
}
