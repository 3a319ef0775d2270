/** The fields that ISO 8601 text as Python's `isoformat()` writes it can have. */
const ISO_DATETIME =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d{1,9}))?)?)?(Z|[+-]\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?)?)?)?$/i;
const ISO_TIME = /^\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)?$/i;

/**
 * A Python `datetime`. It is a `Date` (milliseconds), and as long as nobody changes it, it keeps and writes back the
 * exact text that came: microseconds, an offset of any kind, or none.
 */
export class DateTime extends Date {
  readonly #text: string;
  readonly #time: number;

  /**
   * @param value ISO 8601 text as Python writes it, or anything that `Date` takes. Text without an offset (a naive
   *   datetime) is read as UTC, and written without one again.
   * @throws RangeError when the text is no date of the proleptic Gregorian calendar
   */
  constructor(value: string | number | Date) {
    const time = typeof value === "string" ? parseIsoTime(value) : Number(value);
    super(time);
    this.#time = time;
    this.#text = typeof value === "string" ? value : isoFormat(new Date(time));
  }

  /** True when the text that came had no offset, which Python calls naive. */
  get naive(): boolean {
    return !/(?:Z|[+-]\d{2}:?\d{2}(?::?\d{2}(?:\.\d+)?)?)$/i.test(this.#text.slice(10));
  }

  /** Microseconds within the second, 0 to 999999. */
  get microsecond(): number {
    if (this.getTime() !== this.#time) return (((this.getTime() % 1000) + 1000) % 1000) * 1000;
    const fraction = /[.,](\d{1,6})/.exec(this.#text.slice(10, 27))?.[1] ?? "0";
    return Number(fraction.padEnd(6, "0"));
  }

  /** The text that came, or, once the date was changed, the new moment as aware UTC. */
  isoFormat(): string {
    return this.getTime() === this.#time ? this.#text : isoFormat(this);
  }
}

/** A Python `date`: `2031-05-06`. */
export class PlainDate {
  readonly text: string;

  /** @throws RangeError when the text is no date */
  constructor(text: string) {
    parseIsoTime(text);
    this.text = text.slice(0, 10);
  }

  toString(): string {
    return this.text;
  }

  equals(other: unknown): boolean {
    return other instanceof PlainDate && other.text === this.text;
  }
}

/** A Python `time`: `07:08:09.123456`, with an offset or without. */
export class PlainTime {
  readonly text: string;

  /** @throws RangeError when the text is no time */
  constructor(text: string) {
    if (!ISO_TIME.test(text)) throw new RangeError(`not a time: ${JSON.stringify(text)}`);
    this.text = text;
  }

  toString(): string {
    return this.text;
  }

  equals(other: unknown): boolean {
    return other instanceof PlainTime && other.text === this.text;
  }
}

/** A moment as Python's `datetime.isoformat()` writes an aware one in UTC: microseconds only when there are any. */
export function isoFormat(date: Date): string {
  if (Number.isNaN(date.getTime())) throw new RangeError("Invalid time value");
  const year = date.getUTCFullYear();
  if (year < 1 || year > 9999) throw new RangeError(`year ${year} is out of range`);
  const iso = date.toISOString();
  const fraction = iso.slice(20, 23);
  return `${iso.slice(0, 19)}${fraction === "000" ? "" : `.${fraction}000`}+00:00`;
}

/**
 * Milliseconds since the epoch of ISO 8601 text; text without an offset is taken as UTC.
 * @throws RangeError when the text is no date
 */
export function parseIsoTime(text: string): number {
  const match = ISO_DATETIME.exec(text);
  if (!match) throw new RangeError(`Invalid isoformat string: '${text}'`);
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as Six;
  const milliseconds = Number(`0.${match[7] ?? 0}`) * 1000;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second, 0);
  const inRange =
    year > 0 &&
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    hour < 24 &&
    minute < 60 &&
    second < 60;
  if (!inRange) throw new RangeError(`Invalid isoformat string: '${text}'`);
  return Math.floor(date.getTime() + milliseconds - offsetMs(match[8]));
}

type Six = [number, number, number, number, number, number];

function offsetMs(offset: string | undefined): number {
  if (!offset || offset.toUpperCase() === "Z") return 0;
  const digits = offset.slice(1).replaceAll(":", "");
  const seconds = Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2, 4)) * 60 + Number(digits.slice(4) || 0);
  return (offset[0] === "-" ? -1000 : 1000) * seconds;
}
