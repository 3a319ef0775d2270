import { utf8Encode } from "../serialization/bytes.ts";

/** What memcached answers to one command: the values that it found, and the line that ends the answer. */
export interface MemcachedReply {
  values: { key: string; value: Uint8Array }[];
  /** `END`, `STORED`, `DELETED`, `NOT_FOUND`, `SERVER_ERROR …`, or a number. */
  line: string;
}

const CR = 13;
const LF = 10;

/** Beyond this, memcached takes an expiry for a moment and not for a time: seconds. */
const LONGEST_RELATIVE = 30 * 24 * 60 * 60;

/** The longest key, in bytes. */
const LONGEST_KEY = 250;

/**
 * An expiry as memcached has to be told. Celery passes on what it has, so that it keeps nothing for more than 30 days.
 * @param seconds 0 for ever
 * @param now Unix time, seconds
 */
export function memcachedExpiry(seconds: number, now: number): number {
  return seconds > LONGEST_RELATIVE ? Math.trunc(now) + seconds : seconds;
}

/** Whether memcached, and pymemcache in front of it, takes this key. */
export function isMemcachedKey(key: string): boolean {
  return key.length > 0 && key.length <= LONGEST_KEY && /^[\x21-\x7e]*$/.test(key);
}

/** A command that stores, `add` only what is not there: its line, its value, and the end of both. */
export function memcachedStore(verb: "set" | "add", key: string, value: Uint8Array, expiry: number): Uint8Array {
  const line = utf8Encode(`${verb} ${key} 0 ${expiry} ${value.length}\r\n`);
  const command = new Uint8Array(line.length + value.length + 2);
  command.set(line);
  command.set(value, line.length);
  command.set([CR, LF], line.length + value.length);
  return command;
}

/** Reads memcached's text protocol: bytes as they come, replies as they are complete. */
export class MemcachedReplyReader {
  #chunks: Uint8Array[] = [];
  #length = 0;
  /** How many bytes have to be there before it is worth a look. */
  #wanted = 1;
  #values: MemcachedReply["values"] = [];

  /** @returns the replies that this completes @throws RangeError for what is no reply */
  feed(chunk: Uint8Array): MemcachedReply[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length < this.#wanted) return [];
    const bytes = this.#joined();
    const replies: MemcachedReply[] = [];
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(LF, start);
      this.#wanted = bytes.length - start + 1;
      if (end < 0) break;
      const line = ascii(bytes.subarray(start, bytes[end - 1] === CR ? end - 1 : end));
      const value = /^VALUE (\S+) \d+ (\d+)/.exec(line);
      if (!value) {
        replies.push({ values: this.#values, line });
        this.#values = [];
        start = end + 1;
        continue;
      }
      const [, key = "", size = ""] = value;
      const after = end + 1 + Number(size);
      this.#wanted = after + 2 - start;
      if (bytes.length < after + 2) break;
      if (bytes[after] !== CR || bytes[after + 1] !== LF) throw new RangeError("a value is not as long as it says");
      this.#values.push({ key, value: bytes.slice(end + 1, after) });
      start = after + 2;
    }
    this.#keep(bytes.subarray(start));
    return replies;
  }

  #joined(): Uint8Array {
    if (this.#chunks.length === 1) return this.#chunks[0] as Uint8Array;
    const bytes = new Uint8Array(this.#length);
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  #keep(rest: Uint8Array): void {
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#length = rest.length;
  }
}

function ascii(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
