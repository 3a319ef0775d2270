import { Float } from "../python/numbers.ts";
import { loads } from "./json-reader.ts";
import { RawJson } from "./raw-json.ts";
import { fromTypedValue, isTypedValue } from "./typed-values.ts";

/**
 * The Python value that stands behind one that is only forwarded: a {@link RawJson}, or a typed value that was left in
 * its written form. Any other is given back as it is.
 */
export function forwardedValue(value: object): unknown {
  if (value instanceof RawJson) return rawValue(value.text);
  if (!isTypedValue(value)) return value;
  try {
    return fromTypedValue(value);
  } catch {
    return value;
  }
}

function rawValue(text: string): unknown {
  if (/^-?\d+$/.test(text)) return BigInt(text);
  return /^-?[\dIN]/.test(text) ? new Float(Number(text)) : loads(text);
}
