import { type Compatibility, writes } from "../compatibility.ts";
import { isoFormatIn } from "../python/timezone.ts";

/**
 * The moment `date_done` of a result, ISO 8601: in the application's time zone, up to 5.4 in UTC, up to 5.3 without an
 * offset. Mirrors `celery/backends/base.py _get_result_meta`.
 *
 * @param timezone an IANA name; null for UTC
 */
export function dateDone(
  now: Date,
  { timezone, compatibility }: { timezone: string | null; compatibility: Compatibility },
): string {
  if (writes(compatibility, "dateDoneTimezone")) return isoFormatIn(now, timezone ?? "UTC");
  const text = isoFormatIn(now);
  return writes(compatibility, "dateDoneOffset") ? text : text.replace("+00:00", "");
}
