/** A number that Python must receive as a `float`: `new Float(1)` is written `1.0`, while a bare `1` is an `int`. */
export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = Number(value);
  }

  valueOf(): number {
    return this.value;
  }

  toString(): string {
    return floatRepr(this.value);
  }
}

/**
 * A `float` as Python's `repr()` and `json.dumps` print it, but for the non-finite ones, which are `nan`, `inf`
 * and `-inf` here (JSON spells those `NaN`, `Infinity`, `-Infinity`).
 */
export function floatRepr(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (value === Infinity) return "inf";
  if (value === -Infinity) return "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const magnitude = Math.abs(value);
  if (magnitude < 1e16 && Number.isInteger(value)) return `${value}.0`;
  if (magnitude >= 1e-4 && magnitude < 1e16) return String(value);
  // Both languages print the shortest digits that round-trip; they differ in when and how the exponent is shown.
  const [digits, exponent] = value.toExponential().split("e") as [string, string];
  const sign = exponent.startsWith("-") ? "-" : "+";
  return `${digits}e${sign}${exponent.slice(1).padStart(2, "0")}`;
}

/** True for a number that Python holds as an `int`: an integer that a double holds exactly, and not `-0`. */
export function isPythonInt(value: number): boolean {
  return Number.isSafeInteger(value) && !Object.is(value, -0);
}

/** A number as Python's `repr()` prints the value that the serializers would make of it. */
export function numberRepr(value: number): string {
  return isPythonInt(value) ? String(value) : floatRepr(value);
}

/**
 * The longest integer, in digits, that Python turns into text or reads from it: either takes more time than the text is
 * long. Mirrors `sys.get_int_max_str_digits()`.
 */
export const INT_MAX_STR_DIGITS = 4300;
