import { DateTime, isoFormat, PlainDate, PlainTime } from "./datetime.ts";
import { Decimal } from "./decimal.ts";
import { repr } from "./repr.ts";
import { UUID } from "./uuid.ts";

/** A value as Python's `str()` prints what it becomes there: text as it is, most others as their `repr`. Never throws. */
export function str(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Decimal || value instanceof UUID || value instanceof PlainDate || value instanceof PlainTime) {
    return String(value);
  }
  if (value instanceof Date && !Number.isNaN(value.getTime())) {
    return (value instanceof DateTime ? value.isoFormat() : isoFormat(value)).replace("T", " ");
  }
  return repr(value);
}
