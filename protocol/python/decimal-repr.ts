import type { Decimal } from "./decimal.ts";

const PARTS = /^([+-]?)(?:(\d*)\.?(\d*)(?:e([+-]?\d+))?|(inf)\w*|(s?)nan0*(\d*))$/i;

/** `Decimal('1.50')`, however the number was written. Mirrors `Lib/_pydecimal.py Decimal.__str__`. */
export function decimalRepr({ text }: Decimal): string {
  const [, sign, whole = "", fraction = "", exponent = "0", infinite, signalling, payload] = PARTS.exec(text) ?? [];
  const minus = sign === "-" ? "-" : "";
  if (infinite) return `Decimal('${minus}Infinity')`;
  if (payload !== undefined) return `Decimal('${minus}${signalling && "s"}NaN${payload}')`;
  return `Decimal('${minus}${digitsRepr((whole + fraction).replace(/^0+(?=\d)/, ""), Number(exponent) - fraction.length)}')`;
}

/** @param exponent of the last digit */
function digitsRepr(digits: string, exponent: number): string {
  const point = digits.length + exponent;
  if (exponent <= 0 && point > -6) {
    if (exponent === 0) return digits;
    return point > 0 ? `${digits.slice(0, point)}.${digits.slice(point)}` : `0.${digits.padStart(-exponent, "0")}`;
  }
  const mantissa = digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits;
  return `${mantissa}E${point > 0 ? "+" : ""}${point - 1}`;
}
