import { DecodeError } from "../errors.ts";
import { floatRepr, INT_MAX_STR_DIGITS } from "../python/numbers.ts";
import { MAX_DEPTH } from "./json-depth.ts";
import { setOwn } from "./own-key.ts";
import { RawJson } from "./raw-json.ts";
import { fromTypedValue, isTypedValue } from "./typed-values.ts";

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const WORD = /true|false|null|NaN|-?Infinity/y;
const INTEGER_KEY = /^(?:0|[1-9]\d*)$/;
/** What `JSON.parse` may read otherwise than Python: more digits in a row than a double holds, and the integer `-0`. */
const OTHER_NUMBER = /\d{16}|-0(?![\w.])/;
const TOO_DEEP = "the JSON is nested too deeply";

/**
 * The value of JSON text as Python's `json.loads` through kombu reads it: integers beyond 2^53 as `bigint`, `NaN` and
 * `Infinity` accepted, typed values as {@link DateTime}, {@link Decimal}, `Uint8Array`… `JSON.parse` does the work
 * wherever it gives the same. Mirrors `kombu/utils/json.py loads`.
 *
 * @throws DecodeError when the text is not JSON, is nested too deeply, or holds a typed value that kombu does not know
 */
export function loads(text: string): unknown {
  const value = OTHER_NUMBER.test(text) ? parse(text, "values") : parseFast(text);
  return text.includes('"__type__"') ? revive(value) : value;
}

/**
 * The value of JSON text that is only forwarded: what JavaScript would change stays {@link RawJson}, and typed values
 * stay the objects they are on the wire. Writing it again gives the text that Python wrote, byte for byte.
 *
 * @throws DecodeError when the text is not JSON, or is nested too deeply
 */
export function loadsForward(text: string): unknown {
  return parse(text, "forward");
}

function parseFast(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return parse(text, "values");
  }
  // A text that is not twice as long as the limit is not nested deeper than that.
  if (text.length > 2 * MAX_DEPTH) checkDepth(value, MAX_DEPTH);
  return value;
}

/**
 * The members of an object that is only forwarded, for whoever has to look into it. JavaScript puts integer-like keys
 * first; of a key that came twice the last one counts, as in Python.
 *
 * @throws DecodeError when the text is no JSON object
 */
export function membersOf(raw: RawJson): Record<string, unknown> {
  return new Reader(raw.text, "forward").members();
}

function checkDepth(value: unknown, left: number): void {
  if (typeof value !== "object" || value === null) return;
  if (left === 0) throw new DecodeError(TOO_DEEP);
  if (Array.isArray(value)) for (const item of value) checkDepth(item, left - 1);
  else for (const key of Object.keys(value)) checkDepth((value as Record<string, unknown>)[key], left - 1);
}

function revive(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = revive(value[i]);
    return value;
  }
  for (const key of Object.keys(value)) {
    setOwn(value, key, revive((value as Record<string, unknown>)[key]));
  }
  return isTypedValue(value) ? fromTypedValue(value) : value;
}

type Mode = "values" | "forward";

function parse(text: string, mode: Mode): unknown {
  return new Reader(text, mode).read();
}

class Reader {
  readonly #text: string;
  readonly #forward: boolean;
  #at = 0;
  #depth = 0;

  constructor(text: string, mode: Mode) {
    this.#text = text;
    this.#forward = mode === "forward";
  }

  read(): unknown {
    const value = this.#value();
    this.#space();
    if (this.#at < this.#text.length) this.#fail("Extra data");
    return value;
  }

  members(): Record<string, unknown> {
    if (!this.#take("{")) this.#fail("Expecting an object");
    this.#at = 0;
    return this.#members().object;
  }

  #value(): unknown {
    this.#space();
    switch (this.#text[this.#at]) {
      case "{":
      case "[":
        return this.#container();
      case '"':
        return this.#string();
      case "t":
      case "f":
      case "n":
      case "N":
      case "I":
        return this.#word();
      default:
        return this.#text.startsWith("-I", this.#at) ? this.#word() : this.#number();
    }
  }

  #container(): unknown {
    if (this.#depth === MAX_DEPTH) throw new DecodeError(TOO_DEEP);
    this.#depth++;
    const container = this.#text[this.#at] === "{" ? this.#object() : this.#list();
    this.#depth--;
    return container;
  }

  #list(): unknown[] {
    const items: unknown[] = [];
    this.#at++;
    this.#space();
    if (this.#take("]")) return items;
    for (;;) {
      items.push(this.#value());
      this.#space();
      if (this.#take("]")) return items;
      if (!this.#take(",")) this.#fail("Expecting ',' delimiter");
    }
  }

  #object(): unknown {
    const start = this.#at;
    const { object, changed } = this.#members();
    return changed && this.#forward ? new RawJson(this.#text.slice(start, this.#at)) : object;
  }

  /** @returns changed true when JavaScript orders or counts them otherwise than they came */
  #members(): { object: Record<string, unknown>; changed: boolean } {
    const object: Record<string, unknown> = {};
    let changed = false;
    this.#at++;
    this.#space();
    if (this.#take("}")) return { object, changed };
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') this.#fail("Expecting property name enclosed in double quotes");
      const key = this.#string();
      this.#space();
      if (!this.#take(":")) this.#fail("Expecting ':' delimiter");
      changed ||= INTEGER_KEY.test(key) || key === "__proto__" || Object.hasOwn(object, key);
      setOwn(object, key, this.#value());
      this.#space();
      if (this.#take("}")) return { object, changed };
      if (!this.#take(",")) this.#fail("Expecting ',' delimiter");
    }
  }

  /** The end is found by plain search: a pattern over a string of megabytes would exhaust the stack. */
  #string(): string {
    const start = this.#at;
    let end = start;
    do {
      end = this.#text.indexOf('"', end + 1);
      if (end < 0) this.#fail("Unterminated string");
    } while (isEscaped(this.#text, end));
    this.#at = end + 1;
    try {
      return JSON.parse(this.#text.slice(start, end + 1));
    } catch {
      this.#at = start;
      return this.#fail("Invalid string");
    }
  }

  #word(): unknown {
    const word = this.#match(WORD);
    switch (word) {
      case "true":
        return true;
      case "false":
        return false;
      case "null":
        return null;
      case undefined:
        return this.#fail("Expecting value");
      default:
        return this.#forward ? new RawJson(word) : Number(word);
    }
  }

  #number(): unknown {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (!match) this.#fail("Expecting value");
    this.#at = NUMBER.lastIndex;
    const [token, fraction, exponent] = match;
    const value = Number(token);
    if (fraction === undefined && exponent === undefined) {
      if (Number.isSafeInteger(value) && token !== "-0") return value;
      if (this.#forward) return new RawJson(token);
      return token === "-0" ? 0 : this.#integer(token);
    }
    const unchanged = !Number.isInteger(value) && floatRepr(value) === token;
    return unchanged || !this.#forward ? value : new RawJson(token);
  }

  #integer(token: string): bigint {
    if (token.replace("-", "").length > INT_MAX_STR_DIGITS) this.#fail("Integer of too many digits");
    return BigInt(token);
  }

  #space(): void {
    SPACE.lastIndex = this.#at;
    SPACE.test(this.#text);
    this.#at = SPACE.lastIndex;
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return undefined;
    const token = this.#text.slice(this.#at, pattern.lastIndex);
    this.#at = pattern.lastIndex;
    return token;
  }

  #fail(what: string): never {
    throw new DecodeError(`${what}: char ${this.#at}`);
  }
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === "\\") backslashes++;
  return backslashes % 2 === 1;
}
