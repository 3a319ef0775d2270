import { DecodeError } from "../../errors.ts";
import { utf8Decode, utf8Encode, utf8OrUndefined } from "../bytes.ts";

const LONE_SURROGATE = /\p{Surrogate}/u;

/** The characters behind the letters of `\n` and the like in a Python string literal. */
const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** UTF-8 as Python's error handler `surrogatepass` writes it: half of a surrogate pair is three bytes of its own. */
export function surrogatePassEncode(text: string): Uint8Array {
  if (!LONE_SURROGATE.test(text)) return utf8Encode(text);
  const bytes: number[] = [];
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    if (code >= 0xd800 && code < 0xe000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else for (const byte of utf8Encode(char)) bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** @throws DecodeError when the bytes are not UTF-8, halves of surrogate pairs aside */
export function surrogatePassDecode(bytes: Uint8Array): string {
  const text = utf8OrUndefined(bytes);
  if (text !== undefined) return text;
  let out = "";
  let start = 0;
  for (let at = 0; at + 2 < bytes.length; at++) {
    if (bytes[at] !== 0xed || !((bytes[at + 1] as number) >= 0xa0)) continue;
    const [high, low] = [bytes[at + 1] as number, bytes[at + 2] as number];
    if (high > 0xbf || (low & 0xc0) !== 0x80) break;
    out += utf8Decode(bytes.subarray(start, at)) + String.fromCharCode(0xd000 | ((high & 63) << 6) | (low & 63));
    start = at + 3;
    at += 2;
  }
  return out + utf8Decode(bytes.subarray(start));
}

/** One character a byte. */
export function latin1Decode(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}

/** @throws DecodeError for a character beyond `ÿ` */
export function latin1Encode(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => {
    const code = char.codePointAt(0) as number;
    if (code > 0xff) throw new DecodeError("pickled bytes hold a character beyond latin-1");
    return code;
  });
}

/** Text of Python 2's `str`, which Python 3 reads as ASCII. @throws DecodeError for any other byte */
export function asciiDecode(bytes: Uint8Array): string {
  if (bytes.some((byte) => byte > 0x7f)) throw new DecodeError("a pickled Python 2 str is not ASCII");
  return latin1Decode(bytes);
}

/** Python's codec `raw-unicode-escape`: latin-1, but for `\uXXXX` and `\UXXXXXXXX`. @throws DecodeError */
export function rawUnicodeEscapeDecode(bytes: Uint8Array): string {
  // The whole run of backslashes at once: trying again from each of them would take quadratic time.
  return latin1Decode(bytes).replace(
    /(\\+)(u[\da-fA-F]{4}|U[\da-fA-F]{8})?/g,
    (all, backslashes: string, digits: string | undefined) => {
      if (!digits || backslashes.length % 2 === 0) return all;
      const code = Number.parseInt(digits.slice(1), 16);
      if (code > 0x10ffff) throw new DecodeError(`\\${digits} is no character`);
      return backslashes.slice(1) + String.fromCodePoint(code);
    },
  );
}

/** A quoted Python 2 string literal. @throws DecodeError when it is none, or not ASCII */
export function stringLiteral(line: Uint8Array): string {
  const text = asciiDecode(line).trim();
  const quote = text[0];
  if (text.length < 2 || (quote !== "'" && quote !== '"') || text.at(-1) !== quote) {
    throw new DecodeError("the STRING opcode argument must be quoted");
  }
  const plain = text.slice(1, -1).replace(/\\(x[\da-f]{2}|[0-7]{1,3}|.)/gi, (all, code: string) => {
    if (code.length === 1 && Object.hasOwn(ESCAPES, code)) return ESCAPES[code] as string;
    if (/^x[\da-f]{2}$/i.test(code)) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    return /^[0-7]+$/.test(code) ? String.fromCharCode(Number.parseInt(code, 8) & 0xff) : all;
  });
  return asciiDecode(latin1Encode(plain));
}
