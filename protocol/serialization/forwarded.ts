import { Float } from "../python/numbers.ts";
import { loads, membersOf } from "./json-reader.ts";
import { RawJson } from "./raw-json.ts";
import { fromTypedValue, isTypedValue } from "./typed-values.ts";

/**
 * The Python value that stands behind one that is only forwarded: a {@link RawJson}, or a typed value that was left in
 * its written form. Any other is given back as it is; so is one that cannot be read, as the text that it was.
 */
export function forwardedValue(value: object): unknown {
  try {
    if (value instanceof RawJson) return rawValue(value);
    return isTypedValue(value) ? fromTypedValue(value) : value;
  } catch {
    return value instanceof RawJson ? value.text : value;
  }
}

function rawValue(raw: RawJson): unknown {
  if (raw.text.startsWith("{")) return membersOf(raw);
  const isFloat = /^-?[\dIN]/.test(raw.text) && !/^-?\d+$/.test(raw.text);
  return isFloat ? new Float(Number(raw.text)) : loads(raw.text);
}
