import { DecodeError } from "../errors.ts";
import { Float } from "../python/numbers.ts";
import { utf8Decode } from "./bytes.ts";
import { setOwn } from "./own-key.ts";

/** Lists and dicts within each other, as many as Python's msgpack reads. */
const MAX_DEPTH = 1024;

/**
 * The value that msgpack stands for: integers beyond 2^53 as `bigint`, text that must be UTF-8, any text as a key.
 * Nothing is made room for before it is there, so a few bytes that claim to be a list of millions cost nothing.
 *
 * @throws DecodeError for anything but one whole value, and for extension types, which nothing here writes
 */
export function unpack(bytes: Uint8Array): unknown {
  return read(bytes, false);
}

/** The same for a value that is only forwarded: a float that is a whole number stays one, as {@link Float}. */
export function unpackForward(bytes: Uint8Array): unknown {
  return read(bytes, true);
}

function read(bytes: Uint8Array, forward: boolean): unknown {
  const reader = new Reader(bytes, forward);
  try {
    return reader.read();
  } catch (cause) {
    if (cause instanceof RangeError) throw new DecodeError("not msgpack: it ends too early", { cause });
    throw cause;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #forward: boolean;
  #at = 0;
  #depth = 0;

  constructor(bytes: Uint8Array, forward: boolean) {
    this.#bytes = bytes;
    this.#forward = forward;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  read(): unknown {
    const value = this.#value();
    if (this.#at < this.#bytes.length) throw new DecodeError("not msgpack: something follows the value");
    return value;
  }

  #value(): unknown {
    const head = this.#view.getUint8(this.#at++);
    if (head < 0x80) return head;
    if (head < 0x90) return this.#dict(head & 0x0f);
    if (head < 0xa0) return this.#list(head & 0x0f);
    if (head < 0xc0) return this.#text(head & 0x1f);
    if (head >= 0xe0) return head - 0x100;
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        // A copy: the value outlives the message, and must not be a Buffer where the body is one.
        return new Uint8Array(this.#take(this.#length(head - 0xc4)));
      case 0xca:
        return this.#float(this.#view.getFloat32(this.#skip(4)));
      case 0xcb:
        return this.#float(this.#view.getFloat64(this.#skip(8)));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#length(head - 0xcc);
      case 0xcf:
        return safeInteger(this.#view.getBigUint64(this.#skip(8)));
      case 0xd0:
        return this.#view.getInt8(this.#skip(1));
      case 0xd1:
        return this.#view.getInt16(this.#skip(2));
      case 0xd2:
        return this.#view.getInt32(this.#skip(4));
      case 0xd3:
        return safeInteger(this.#view.getBigInt64(this.#skip(8)));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#length(head - 0xd9));
      case 0xdc:
      case 0xdd:
        return this.#list(this.#length(head - 0xdb));
      case 0xde:
      case 0xdf:
        return this.#dict(this.#length(head - 0xdd));
      default:
        throw new DecodeError(`not msgpack as Celery uses it: type 0x${head.toString(16)}`);
    }
  }

  /** An unsigned integer of 1, 2 or 4 bytes, by the exponent of that. */
  #length(exponent: number): number {
    if (exponent === 0) return this.#view.getUint8(this.#skip(1));
    return exponent === 1 ? this.#view.getUint16(this.#skip(2)) : this.#view.getUint32(this.#skip(4));
  }

  #float(value: number): number | Float {
    return this.#forward && Number.isSafeInteger(value) ? new Float(value) : value;
  }

  #list(length: number): unknown[] {
    this.#enter();
    const items: unknown[] = [];
    for (let i = 0; i < length; i++) items.push(this.#value());
    this.#depth--;
    return items;
  }

  #dict(length: number): Record<string, unknown> {
    this.#enter();
    const dict: Record<string, unknown> = {};
    for (let i = 0; i < length; i++) setOwn(dict, this.#key(), this.#value());
    this.#depth--;
    return dict;
  }

  #key(): string {
    const key = this.#value();
    if (typeof key === "string") return key;
    if (typeof key === "number" || typeof key === "bigint") return String(key);
    throw new DecodeError("not msgpack as Celery uses it: a key is neither text nor a number");
  }

  #text(length: number): string {
    return utf8Decode(this.#take(length));
  }

  #take(length: number): Uint8Array {
    const start = this.#skip(length);
    if (this.#at > this.#bytes.length) throw new DecodeError("not msgpack: it ends too early");
    return this.#bytes.subarray(start, this.#at);
  }

  /** Goes on by so many bytes. @returns where it was */
  #skip(length: number): number {
    this.#at += length;
    return this.#at - length;
  }

  #enter(): void {
    if (++this.#depth > MAX_DEPTH) throw new DecodeError("not msgpack as Celery uses it: nested too deeply");
  }
}

/** Integers of 64 bits become numbers where a double holds them, as everywhere else. */
function safeInteger(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
