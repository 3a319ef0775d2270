import { EncodeError } from "../../errors.ts";
import { FrozenSet, OrderedDict, Tuple } from "../../python/collections.ts";
import { DateTime, isoFormat, PlainDate, PlainTime } from "../../python/datetime.ts";
import { Decimal } from "../../python/decimal.ts";
import { ExceptionValue } from "../../python/exception-value.ts";
import { Float, isPythonInt } from "../../python/numbers.ts";
import { TimeDelta } from "../../python/timedelta.ts";
import { UUID } from "../../python/uuid.ts";
import { plainValue } from "../plain-value.ts";
import { ByteWriter } from "./byte-writer.ts";
import { dateState, dateTimeState, timeState } from "./datetime-state.ts";
import { encodeLong } from "./integers.ts";
import { OP } from "./opcodes.ts";
import { PythonCall } from "./python-call.ts";
import { latin1Decode, surrogatePassEncode } from "./text.ts";

/** `kombu.serialization.pickle_protocol`: 2 up to kombu 5.0. */
export type WrittenProtocol = 2 | 4;

/** Deeper values, and those that hold themselves, are refused; Python's own limit is about as far. */
const MAX_DEPTH = 500;

/** Python integers of one, two and four bytes have opcodes of their own. */
const INT32 = 0x8000_0000;

/** Writes one value so that Python's `pickle.loads` reads it. A part that is shared is written wherever it is. */
export class PickleWriter {
  readonly #out = new ByteWriter();
  readonly #protocol: WrittenProtocol;
  #depth = 0;

  constructor(protocol: WrittenProtocol = 4) {
    this.#protocol = protocol;
  }

  /** @throws EncodeError for a value with no form in Python, a cycle, or nesting beyond 500 levels */
  write(value: unknown): Uint8Array {
    this.#out.steps("PROTO");
    this.#out.byte(this.#protocol);
    this.#value(value);
    this.#out.steps("STOP");
    return this.#out.finish();
  }

  #value(value: unknown): void {
    if (typeof value === "string") this.#text(value);
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "bigint") this.#integer(value);
    else if (typeof value === "boolean") this.#out.steps(value ? "NEWTRUE" : "NEWFALSE");
    else if (value === undefined || value === null) this.#out.steps("NONE");
    else if (typeof value === "object") this.#object(value);
    else throw new EncodeError(`cannot pickle a ${typeof value}`);
  }

  #object(value: object): void {
    if (++this.#depth > MAX_DEPTH) throw new EncodeError("Circular reference detected, or nested too deeply");
    if (Array.isArray(value)) this.#sequence(value);
    else if (value instanceof Map) this.#dict(value);
    else if (value instanceof Set) this.#set(value);
    else if (!this.#scalar(value)) this.#mapping(value);
    this.#depth--;
  }

  #sequence(items: readonly unknown[]): void {
    const isTuple = items instanceof Tuple;
    if (!isTuple) this.#out.steps("EMPTY_LIST");
    this.#out.steps("MARK");
    for (const item of items) this.#value(item);
    this.#out.steps(isTuple ? "TUPLE" : "APPENDS");
  }

  #dict(map: ReadonlyMap<unknown, unknown>): void {
    if (map instanceof OrderedDict) this.#call("collections", "OrderedDict", []);
    else this.#out.steps("EMPTY_DICT");
    this.#items(map);
  }

  #set(set: ReadonlySet<unknown>): void {
    const isFrozen = set instanceof FrozenSet;
    if (this.#protocol === 2) {
      this.#call("builtins", isFrozen ? "frozenset" : "set", [[...set]]);
      return;
    }
    if (!isFrozen) this.#out.steps("EMPTY_SET");
    this.#out.steps("MARK");
    for (const item of set) this.#value(item);
    this.#out.steps(isFrozen ? "FROZENSET" : "ADDITEMS");
  }

  #items(entries: Iterable<readonly [unknown, unknown]>): void {
    this.#out.steps("MARK");
    for (const [key, item] of entries) {
      this.#value(key);
      this.#value(item);
    }
    this.#out.steps("SETITEMS");
  }

  #mapping(value: object): void {
    const plain = plainValue(value);
    if (plain !== value) {
      this.#value(plain);
      return;
    }
    this.#out.steps("EMPTY_DICT");
    this.#items(Object.entries(value).filter(([, item]) => item !== undefined));
  }

  /** @returns false for what is none of the value types */
  #scalar(value: object): boolean {
    if (value instanceof Uint8Array) this.#bytes(value);
    else if (value instanceof Float) this.#float(value.value);
    else if (value instanceof Date) this.#dateTime(value);
    else if (value instanceof PlainDate) this.#call("datetime", "date", [dateState(value.text)]);
    else if (value instanceof PlainTime) this.#moment("time", timeState(value.text));
    else if (value instanceof TimeDelta) this.#timeDelta(value.days, value.seconds, value.microseconds);
    else if (value instanceof Decimal) this.#call("decimal", "Decimal", [value.text]);
    else if (value instanceof UUID) this.#call("uuid", "UUID", [value.hex]);
    else if (value instanceof ExceptionValue) this.#exception(value);
    else if (value instanceof PythonCall) this.#call(value.module, value.name, value.args);
    else return false;
    return true;
  }

  /** Protocol 2 knows no bytes: they are the text of the same code points, and a call that encodes it. */
  #bytes(value: Uint8Array): void {
    if (this.#protocol === 2) this.#call("_codecs", "encode", [latin1Decode(value), "latin1"]);
    else this.#out.sized(value, OP.SHORT_BINBYTES, OP.BINBYTES, OP.BINBYTES8);
  }

  #dateTime(date: Date): void {
    this.#moment("datetime", dateTimeState(date instanceof DateTime ? date.isoFormat() : isoFormat(date)));
  }

  #moment(type: "datetime" | "time", { state, offset }: { state: Uint8Array; offset: number | null }): void {
    this.#global("datetime", type);
    this.#value(state);
    if (offset === null) {
      this.#out.steps("TUPLE1", "REDUCE");
      return;
    }
    this.#global("datetime", "timezone");
    this.#timeDelta(0, Math.floor(offset / 1e6), offset - Math.floor(offset / 1e6) * 1e6);
    this.#out.steps("TUPLE1", "REDUCE", "TUPLE2", "REDUCE");
  }

  #timeDelta(days: number, seconds: number, microseconds: number): void {
    this.#call("datetime", "timedelta", [days, seconds, microseconds]);
  }

  #exception({ module, type, args, state }: ExceptionValue): void {
    this.#call(module, type, args);
    if (!state) return;
    this.#value(state);
    this.#out.steps("BUILD");
  }

  #call(module: string, name: string, args: readonly unknown[]): void {
    this.#global(module, name);
    this.#out.steps("MARK");
    for (const arg of args) this.#value(arg);
    this.#out.steps("TUPLE", "REDUCE");
  }

  #global(module: string, name: string): void {
    if (this.#protocol === 2) {
      this.#out.steps("GLOBAL");
      this.#out.bytes(surrogatePassEncode(`${module === "builtins" ? "__builtin__" : module}\n${name}\n`));
      return;
    }
    this.#text(module);
    this.#text(name);
    this.#out.steps("STACK_GLOBAL");
  }

  #text(text: string): void {
    const short = this.#protocol === 2 ? OP.BINUNICODE : OP.SHORT_BINUNICODE;
    this.#out.sized(surrogatePassEncode(text), short, OP.BINUNICODE, OP.BINUNICODE8);
  }

  #number(value: number): void {
    if (isPythonInt(value)) this.#integer(value);
    else this.#float(value);
  }

  #float(value: number): void {
    this.#out.steps("BINFLOAT");
    this.#out.float64(value);
  }

  #integer(value: number | bigint): void {
    if (value >= 0 && value < 0x100) {
      this.#out.steps("BININT1");
      this.#out.byte(Number(value));
    } else if (value >= 0 && value < 0x1_0000) {
      this.#out.steps("BININT2");
      this.#out.uint16(Number(value));
    } else if (value >= -INT32 && value < INT32) {
      this.#out.steps("BININT");
      this.#out.int32(Number(value));
    } else {
      this.#long(encodeLong(BigInt(value)));
    }
  }

  #long(bytes: Uint8Array): void {
    if (bytes.length < 0x100) {
      this.#out.steps("LONG1");
      this.#out.byte(bytes.length);
    } else {
      this.#out.steps("LONG4");
      this.#out.int32(bytes.length);
    }
    this.#out.bytes(bytes);
  }
}
