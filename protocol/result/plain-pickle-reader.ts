import { DecodeError } from "../errors.ts";
import { utf8Decode } from "../serialization/bytes.ts";

/**
 * Makes the object that a pickle calls for. Nothing is ever imported or run: what is not known is refused.
 * @throws DecodeError for a class that it does not know
 */
export type Construct = (name: string, args: readonly unknown[]) => unknown;

/** True for bytes that begin as every pickle of protocol 2 to 5 does; a msgpack map of nothing is one byte shorter. */
export function isPickle(bytes: Uint8Array): boolean {
  return bytes[0] === 0x80 && (bytes[1] ?? 0) >= 2 && (bytes[1] ?? 0) <= 5;
}

/**
 * The value of a pickle of protocol 2 to 5 that is made of what JSON has too, bytes, tuples and sets (both read as
 * arrays), and of what `construct` makes.
 * @throws DecodeError when it holds anything else, or is none
 */
export function loadPickle(bytes: Uint8Array, construct: Construct = refuse): unknown {
  if (!isPickle(bytes)) throw new DecodeError("not a pickle of protocol 2 to 5");
  return new PickleReader(bytes, construct).read();
}

function refuse(name: string): never {
  throw new DecodeError(`the pickle holds a Python object, ${name}, and only plain values can be read here`);
}

/** A class or function that a pickle names. */
class PythonName {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

class PickleReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #construct: Construct;
  readonly #memo = new Map<number, unknown>();
  readonly #marks: number[] = [];
  readonly #stack: unknown[] = [];
  #at = 0;

  constructor(bytes: Uint8Array, construct: Construct) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#construct = construct;
  }

  read(): unknown {
    try {
      for (;;) {
        const opcode = this.#u1();
        if (opcode === 0x2e) return this.#pop();
        this.#step(opcode);
      }
    } catch (error) {
      if (error instanceof DecodeError) throw error;
      throw new DecodeError("the pickle ends too early or is broken", { cause: error });
    }
  }

  #step(opcode: number): void {
    const stack = this.#stack;
    switch (opcode) {
      case 0x80: // PROTO
        this.#at += 1;
        return;
      case 0x95: // FRAME
        this.#at += 8;
        return;
      case 0x4e: // NONE
        stack.push(null);
        return;
      case 0x88: // NEWTRUE
      case 0x89: // NEWFALSE
        stack.push(opcode === 0x88);
        return;
      case 0x4b: // BININT1
        stack.push(this.#u1());
        return;
      case 0x4d: // BININT2
        stack.push(this.#u1() + this.#u1() * 256);
        return;
      case 0x4a: // BININT
        stack.push(this.#number(4, (at) => this.#view.getInt32(at, true)));
        return;
      case 0x8a: // LONG1
        stack.push(this.#long(this.#u1()));
        return;
      case 0x8b: // LONG4
        stack.push(this.#long(this.#u4()));
        return;
      case 0x47: // BINFLOAT
        stack.push(this.#number(8, (at) => this.#view.getFloat64(at)));
        return;
      case 0x8c: // SHORT_BINUNICODE
        stack.push(utf8Decode(this.#take(this.#u1())));
        return;
      case 0x58: // BINUNICODE
        stack.push(utf8Decode(this.#take(this.#u4())));
        return;
      case 0x8d: // BINUNICODE8
        stack.push(utf8Decode(this.#take(this.#u8())));
        return;
      case 0x43: // SHORT_BINBYTES
        stack.push(this.#take(this.#u1()).slice());
        return;
      case 0x42: // BINBYTES
        stack.push(this.#take(this.#u4()).slice());
        return;
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        stack.push(this.#take(this.#u8()).slice());
        return;
      default:
        this.#collect(opcode);
    }
  }

  /** What is put together from what was read before. */
  #collect(opcode: number): void {
    const stack = this.#stack;
    switch (opcode) {
      case 0x28: // MARK
        this.#marks.push(stack.length);
        return;
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
      case 0x8f: // EMPTY_SET
        stack.push([]);
        return;
      case 0x7d: // EMPTY_DICT
        stack.push({});
        return;
      case 0x61: // APPEND
        this.#append([this.#pop()]);
        return;
      case 0x65: // APPENDS
      case 0x90: // ADDITEMS
        this.#append(this.#marked());
        return;
      case 0x73: // SETITEM
        this.#setItems(stack.splice(-2));
        return;
      case 0x75: // SETITEMS
        this.#setItems(this.#marked());
        return;
      case 0x74: // TUPLE
      case 0x91: // FROZENSET
        stack.push(this.#marked());
        return;
      case 0x85: // TUPLE1, TUPLE2, TUPLE3
      case 0x86:
      case 0x87:
        stack.push(stack.splice(0x84 - opcode));
        return;
      case 0x94: // MEMOIZE
        this.#memo.set(this.#memo.size, stack.at(-1));
        return;
      case 0x71: // BINPUT
        this.#memo.set(this.#u1(), stack.at(-1));
        return;
      case 0x72: // LONG_BINPUT
        this.#memo.set(this.#u4(), stack.at(-1));
        return;
      case 0x68: // BINGET
        stack.push(this.#memo.get(this.#u1()));
        return;
      case 0x6a: // LONG_BINGET
        stack.push(this.#memo.get(this.#u4()));
        return;
      default:
        this.#object(opcode);
    }
  }

  #object(opcode: number): void {
    const stack = this.#stack;
    switch (opcode) {
      case 0x63: // GLOBAL
        stack.push(new PythonName(`${this.#line()}.${this.#line()}`));
        return;
      case 0x93: // STACK_GLOBAL
        stack.push(new PythonName(stack.splice(-2).join(".")));
        return;
      case 0x52: // REDUCE
      case 0x81: {
        // NEWOBJ
        const [callable, args] = stack.splice(-2);
        if (!(callable instanceof PythonName) || !Array.isArray(args)) throw new DecodeError("the pickle is broken");
        stack.push(this.#construct(callable.text, args));
        return;
      }
      default:
        throw new DecodeError(
          `the pickle holds a Python object (opcode 0x${opcode.toString(16)}), and only plain values can be read here`,
        );
    }
  }

  #pop(): unknown {
    if (this.#stack.length === 0) throw new DecodeError("the pickle is broken");
    return this.#stack.pop();
  }

  #marked(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw new DecodeError("the pickle is broken");
    return this.#stack.splice(mark);
  }

  #append(items: readonly unknown[]): void {
    const list = this.#stack.at(-1) as unknown[];
    for (const item of items) list.push(item);
  }

  #setItems(items: readonly unknown[]): void {
    const object = this.#stack.at(-1) as Record<string, unknown>;
    for (let at = 0; at < items.length; at += 2) {
      // Not an assignment, which would take `__proto__` for something else.
      const property = { value: items[at + 1], enumerable: true, writable: true, configurable: true };
      Object.defineProperty(object, String(items[at]), property);
    }
  }

  #u1(): number {
    return this.#number(1, (at) => this.#view.getUint8(at));
  }

  #u4(): number {
    return this.#number(4, (at) => this.#view.getUint32(at, true));
  }

  #u8(): number {
    return this.#number(8, (at) => Number(this.#view.getBigUint64(at, true)));
  }

  #number(size: number, read: (at: number) => number): number {
    const value = read(this.#at);
    this.#at += size;
    return value;
  }

  #long(size: number): number | bigint {
    const bytes = this.#take(size);
    let value = 0n;
    for (let at = size - 1; at >= 0; at--) value = (value << 8n) | BigInt(bytes[at] ?? 0);
    const signed = BigInt.asIntN(size * 8, value);
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
  }

  #take(size: number): Uint8Array {
    if (this.#at + size > this.#bytes.length) throw new DecodeError("the pickle ends too early");
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    const text = utf8Decode(this.#take(end - this.#at));
    this.#at += 1;
    return text;
  }
}
