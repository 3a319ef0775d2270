import { EncodeError } from "../errors.ts";
import { isMapping } from "../message/headers.ts";
import { Float, isPythonInt } from "../python/numbers.ts";
import { utf8Encode } from "../serialization/bytes.ts";
import { forwardedValue } from "../serialization/forwarded.ts";

/** A call that makes a Python object when its pickle is read: `module.name(*args)`. */
export class PythonCall {
  readonly module: string;
  readonly name: string;
  readonly args: readonly unknown[];

  constructor(module: string, name: string, args: readonly unknown[]) {
    this.module = module;
    this.name = name;
    this.args = args;
  }
}

/**
 * A pickle, protocol 4, of what JSON has too (and bytes), which is all that most results are made of.
 * @throws EncodeError for any other value
 */
export function dumpPickle(value: unknown): Uint8Array {
  const out: number[] = [0x80, 4];
  try {
    write(out, value);
  } catch (error) {
    if (error instanceof EncodeError) throw error;
    throw new EncodeError("Circular reference detected, or nested too deeply", { cause: error });
  }
  out.push(op("."));
  return Uint8Array.from(out);
}

function write(out: number[], value: unknown): void {
  switch (typeof value) {
    case "undefined":
      out.push(op("N"));
      return;
    case "boolean":
      out.push(value ? 0x88 : 0x89);
      return;
    case "string":
      sized(out, op("X"), utf8Encode(value));
      return;
    case "bigint":
      writeInteger(out, value);
      return;
    case "number":
      if (isPythonInt(value)) writeInteger(out, BigInt(value));
      else writeFloat(out, value);
      return;
    case "object":
      if (value === null) out.push(op("N"));
      else writeObject(out, value);
      return;
    default:
      throw new EncodeError(`cannot pickle '${typeof value}' object`);
  }
}

function writeObject(out: number[], value: object): void {
  if (Array.isArray(value)) {
    out.push(op("]"), op("("));
    for (const item of value) write(out, item);
    out.push(op("e"));
  } else if (value instanceof Map || isMapping(value)) {
    out.push(op("}"), op("("));
    for (const [key, item] of value instanceof Map ? value : Object.entries(value)) {
      if (item === undefined) continue;
      write(out, key);
      write(out, item);
    }
    out.push(op("u"));
  } else if (value instanceof Uint8Array) {
    sized(out, op("B"), value);
  } else if (value instanceof Float) {
    writeFloat(out, value.value);
  } else if (value instanceof PythonCall) {
    writeCall(out, value);
  } else {
    const known = forwardedValue(value);
    if (known === value) throw new EncodeError(`cannot pickle '${value.constructor?.name ?? "object"}' object`);
    write(out, known);
  }
}

/** STACK_GLOBAL, then REDUCE with a tuple of the arguments. */
function writeCall(out: number[], { module, name, args }: PythonCall): void {
  write(out, module);
  write(out, name);
  out.push(0x93, op("("));
  for (const arg of args) write(out, arg);
  out.push(op("t"), op("R"));
}

/** LONG1 or LONG4: little-endian, two's complement, in as few bytes as hold the sign; none for 0. */
function writeInteger(out: number[], value: bigint): void {
  const bytes: number[] = [];
  let rest = value;
  while (rest !== 0n && !(rest === -1n && (bytes.at(-1) ?? 0) >= 0x80)) {
    bytes.push(Number(rest & 0xffn));
    rest >>= 8n;
  }
  if (value > 0n && (bytes.at(-1) ?? 0) >= 0x80) bytes.push(0);
  if (bytes.length < 256) {
    out.push(0x8a, bytes.length);
    append(out, Uint8Array.from(bytes));
  } else {
    sized(out, 0x8b, Uint8Array.from(bytes));
  }
}

function writeFloat(out: number[], value: number): void {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  out.push(op("G"));
  append(out, bytes);
}

/** An opcode, four bytes of length, little-endian, the bytes. */
function sized(out: number[], opcode: number, bytes: Uint8Array): void {
  const { length } = bytes;
  out.push(opcode, length & 0xff, (length >>> 8) & 0xff, (length >>> 16) & 0xff, length >>> 24);
  append(out, bytes);
}

/** Not `push(...bytes)`: a call takes only so many arguments. */
function append(out: number[], bytes: Uint8Array): void {
  for (const byte of bytes) out.push(byte);
}

function op(char: string): number {
  return char.charCodeAt(0);
}
