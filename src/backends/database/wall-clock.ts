/**
 * A moment for databases that keep no zone, `2031-05-06 07:08:09.123000`: what the clock shows where its text was
 * written, as SQLAlchemy writes a Python datetime there. @param iso as Python's `isoformat()` writes it
 */
export function wallClock(iso: string): string {
  const [, date, time, fraction = ""] = /^(.{10})[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?/.exec(iso) ?? [];
  return `${date} ${time}.${fraction.padEnd(6, "0")}`;
}
