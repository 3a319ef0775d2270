const DAY = 86_400;
const MICROSECONDS = 1_000_000;

/** The furthest that Python's `timedelta` goes, in days. */
const MAX_DAYS = 999_999_999;

/**
 * A Python `datetime.timedelta`, in Python's normal form: only the days can be negative. Pickle carries it; JSON, YAML
 * and msgpack have no form for it.
 */
export class TimeDelta {
  readonly days: number;
  /** 0 to 86 399. */
  readonly seconds: number;
  /** 0 to 999 999. */
  readonly microseconds: number;

  /**
   * Whole numbers, each of any size and sign: `new TimeDelta(0, -1)` is `-1 day, 23:59:59`.
   * @throws RangeError beyond 999 999 999 days, or for what is not a whole number
   */
  constructor(days = 0, seconds = 0, microseconds = 0) {
    if (![days, seconds, microseconds].every(Number.isSafeInteger)) {
      throw new RangeError("a timedelta is made of whole numbers");
    }
    const allSeconds = seconds + Math.floor(microseconds / MICROSECONDS);
    this.microseconds = modulo(microseconds, MICROSECONDS);
    this.seconds = modulo(allSeconds, DAY);
    this.days = days + Math.floor(allSeconds / DAY);
    if (Math.abs(this.days) > MAX_DAYS) throw new RangeError(`days=${this.days}; must have magnitude <= ${MAX_DAYS}`);
  }

  /** All of it in seconds, microseconds as a fraction. */
  get totalSeconds(): number {
    return this.days * DAY + this.seconds + this.microseconds / MICROSECONDS;
  }

  /** As Python's `str()`: `-1 day, 23:59:59.000001`. */
  toString(): string {
    const pad = (value: number, width: number): string => String(value).padStart(width, "0");
    const days = this.days === 0 ? "" : `${this.days} day${Math.abs(this.days) === 1 ? "" : "s"}, `;
    const minutes = Math.floor(this.seconds / 60);
    const fraction = this.microseconds ? `.${pad(this.microseconds, 6)}` : "";
    return `${days}${Math.floor(minutes / 60)}:${pad(minutes % 60, 2)}:${pad(this.seconds % 60, 2)}${fraction}`;
  }

  equals(other: unknown): boolean {
    return (
      other instanceof TimeDelta &&
      other.days === this.days &&
      other.seconds === this.seconds &&
      other.microseconds === this.microseconds
    );
  }
}

/** `datetime.timedelta(days=-1, seconds=86399)`. */
export function timedeltaRepr({ days, seconds, microseconds }: TimeDelta): string {
  const parts = Object.entries({ days, seconds, microseconds }).filter(([, value]) => value !== 0);
  return `datetime.timedelta(${parts.map(([name, value]) => `${name}=${value}`).join(", ") || "0"})`;
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
