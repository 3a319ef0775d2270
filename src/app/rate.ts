const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/**
 * How many a second a rate limit allows: `10/s`, `100/m`, `5/h`, or a number a second; 0 for no limit.
 * Mirrors `celery/utils/time.py rate`.
 *
 * @throws RangeError when it is none of these, in the words of Python's ValueError
 */
export function rate(limit: string | number | null | undefined): number {
  if (limit === null || limit === undefined || limit === "") return 0;
  if (typeof limit === "number") return allowed(limit, limit);
  const [count = "", unit = "s", ...more] = limit.split("/");
  const seconds = SECONDS[unit || "s"];
  if (seconds === undefined || more.length > 0) throw new RangeError(`a rate is per s, m or h, not per ${unit}`);
  const number = count.trim() === "" ? Number.NaN : Number(count);
  return allowed(number / seconds, count);
}

function allowed(perSecond: number, given: string | number): number {
  if (Number.isFinite(perSecond) && perSecond >= 0) return perSecond;
  throw new RangeError(`could not convert string to float: '${given}'`);
}
