import { DecodeError } from "../../errors.ts";
import { asInteger } from "../../python/integers.ts";

/** Longest integers that are read: what can be turned into digits without keeping the process busy for long. */
const MAX_DIGITS = 4300;
const MAX_BYTES = 65_536;

/** Little-endian two's complement, as short as can be; nothing for 0. @throws DecodeError beyond 65 536 bytes */
export function decodeLong(bytes: Uint8Array): number | bigint {
  if (bytes.length > MAX_BYTES) throw new DecodeError(`a pickled integer of ${bytes.length} bytes is too long`);
  if (bytes.length === 0) return 0;
  let hex = "0x";
  for (let at = bytes.length - 1; at >= 0; at--) hex += (bytes[at] as number).toString(16).padStart(2, "0");
  const negative = (bytes.at(-1) as number) > 0x7f;
  return asInteger(negative ? BigInt(hex) - (1n << BigInt(8 * bytes.length)) : BigInt(hex));
}

/** What {@link decodeLong} reads. */
export function encodeLong(value: bigint): Uint8Array {
  if (value === 0n) return new Uint8Array();
  const magnitude = value < 0n ? -value - 1n : value;
  // One bit more than the magnitude has: the sign.
  const length = Math.floor(magnitude.toString(2).length / 8) + 1;
  const hex = BigInt.asUintN(8 * length, value)
    .toString(16)
    .padStart(2 * length, "0");
  return Uint8Array.from({ length }, (_, at) =>
    Number.parseInt(hex.slice(2 * (length - 1 - at), 2 * (length - at)), 16),
  );
}

/** Decimal digits, with the `L` that Python 2 wrote or without. @throws DecodeError beyond 4300 digits, as Python does */
export function parseLong(text: string): number | bigint {
  const digits = text.trim().replace(/L$/, "");
  if (!/^[+-]?\d+$/.test(digits) || digits.length > MAX_DIGITS) throw new DecodeError("a pickled integer is not one");
  return asInteger(BigInt(digits.replace(/^\+/, "")));
}
