const DECIMAL = /^[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|s?nan\d*)$/i;

/**
 * A Python `decimal.Decimal`, kept as its text: JavaScript has no such number, and arithmetic belongs to whatever
 * library the application chose (`String(decimal)` feeds any of them).
 */
export class Decimal {
  readonly text: string;

  /** @throws RangeError when Python's `Decimal` would refuse the text */
  constructor(text: string | number | bigint) {
    const digits = String(text).trim();
    if (!DECIMAL.test(digits)) throw new RangeError(`not a decimal number: ${JSON.stringify(digits)}`);
    this.text = digits;
  }

  toString(): string {
    return this.text;
  }

  equals(other: unknown): boolean {
    return other instanceof Decimal && other.text === this.text;
  }
}
