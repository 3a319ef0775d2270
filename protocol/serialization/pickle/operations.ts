import { DecodeError } from "../../errors.ts";
import { FrozenSet, type Tuple, tuple } from "../../python/collections.ts";
import { utf8Decode } from "../bytes.ts";
import { built, Dict, made } from "./globals.ts";
import { decodeLong, parseLong } from "./integers.ts";
import type { Machine } from "./machine.ts";
import { OP } from "./opcodes.ts";
import { asciiDecode, rawUnicodeEscapeDecode, stringLiteral, surrogatePassDecode } from "./text.ts";

/** What one opcode does. */
export type Operation = (machine: Machine) => void;

/** The newest protocol there is. */
const HIGHEST_PROTOCOL = 5;

const FLOAT = /^[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)$/i;

/** Every opcode of protocols 0 to 5, but for what reaches outside of the pickle. Mirrors CPython's `Lib/pickle.py`. */
export const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [OP.PROTO, (m) => protocol(m.input.byte())],
  [OP.FRAME, (m) => void m.input.uint64()],
  [OP.STOP, (m) => m.stop()],

  [OP.MARK, (m) => m.mark()],
  [OP.POP, (m) => m.discard()],
  [OP.POP_MARK, (m) => void m.popMark()],
  [OP.DUP, (m) => m.push(m.top)],

  [OP.PUT, (m) => m.memoize(index(m.input.line()))],
  [OP.BINPUT, (m) => m.memoize(m.input.byte())],
  [OP.LONG_BINPUT, (m) => m.memoize(m.input.uint32())],
  [OP.MEMOIZE, (m) => m.memoize()],
  [OP.GET, (m) => m.push(m.recall(index(m.input.line())))],
  [OP.BINGET, (m) => m.push(m.recall(m.input.byte()))],
  [OP.LONG_BINGET, (m) => m.push(m.recall(m.input.uint32()))],

  [OP.NONE, (m) => m.push(null)],
  [OP.NEWTRUE, (m) => m.push(true)],
  [OP.NEWFALSE, (m) => m.push(false)],
  [OP.INT, (m) => m.push(int(asciiDecode(m.input.line())))],
  [OP.BININT, (m) => m.push(m.input.int32())],
  [OP.BININT1, (m) => m.push(m.input.byte())],
  [OP.BININT2, (m) => m.push(m.input.uint16())],
  [OP.LONG, (m) => m.push(parseLong(asciiDecode(m.input.line())))],
  [OP.LONG1, (m) => m.push(decodeLong(m.input.bytes(m.input.byte())))],
  [OP.LONG4, (m) => m.push(decodeLong(m.input.bytes(m.input.uint32())))],
  [OP.FLOAT, (m) => m.pushFloat(float(asciiDecode(m.input.line())))],
  [OP.BINFLOAT, (m) => m.pushFloat(m.input.float64())],

  [OP.STRING, (m) => m.push(stringLiteral(m.input.line()))],
  [OP.BINSTRING, (m) => m.push(asciiDecode(m.input.bytes(m.input.uint32())))],
  [OP.SHORT_BINSTRING, (m) => m.push(asciiDecode(m.input.bytes(m.input.byte())))],
  [OP.UNICODE, (m) => m.push(rawUnicodeEscapeDecode(m.input.line()))],
  [OP.BINUNICODE, (m) => m.push(surrogatePassDecode(m.input.bytes(m.input.uint32())))],
  [OP.SHORT_BINUNICODE, (m) => m.push(surrogatePassDecode(m.input.bytes(m.input.byte())))],
  [OP.BINUNICODE8, (m) => m.push(surrogatePassDecode(m.input.bytes(m.input.uint64())))],
  [OP.BINBYTES, (m) => m.push(m.input.bytes(m.input.uint32()).slice())],
  [OP.SHORT_BINBYTES, (m) => m.push(m.input.bytes(m.input.byte()).slice())],
  [OP.BINBYTES8, (m) => m.push(m.input.bytes(m.input.uint64()).slice())],
  [OP.BYTEARRAY8, (m) => m.push(m.input.bytes(m.input.uint64()).slice())],

  [OP.EMPTY_TUPLE, (m) => m.push(tuple([]))],
  [OP.TUPLE, (m) => m.push(tuple(m.popMark()))],
  [OP.TUPLE1, (m) => m.push(popTuple(m, 1))],
  [OP.TUPLE2, (m) => m.push(popTuple(m, 2))],
  [OP.TUPLE3, (m) => m.push(popTuple(m, 3))],

  [OP.EMPTY_LIST, (m) => m.push([])],
  [OP.LIST, (m) => m.push(m.popMark())],
  [OP.APPEND, (m) => append(m, [m.pop()])],
  [OP.APPENDS, (m) => append(m, m.popMark())],

  [OP.EMPTY_DICT, (m) => m.push(new Dict())],
  [OP.DICT, (m) => m.push(withItems(new Dict(), m.popMark()))],
  [OP.SETITEM, (m) => setItem(m)],
  [OP.SETITEMS, (m) => setItems(m, m.popMark())],

  [OP.EMPTY_SET, (m) => m.push(new Set())],
  [OP.ADDITEMS, (m) => addItems(m, m.popMark())],
  [OP.FROZENSET, (m) => m.push(new FrozenSet(m.popMark()))],

  [OP.GLOBAL, (m) => m.push(m.global(utf8Decode(m.input.line()), utf8Decode(m.input.line())))],
  [OP.STACK_GLOBAL, (m) => stackGlobal(m)],
  [OP.INST, (m) => inst(m)],
  [OP.OBJ, (m) => obj(m)],
  [OP.NEWOBJ, (m) => newObject(m)],
  [OP.NEWOBJ_EX, (m) => newObjectEx(m)],
  [OP.REDUCE, (m) => newObject(m)],
  [OP.BUILD, (m) => build(m)],

  [OP.READONLY_BUFFER, () => undefined],
  [OP.NEXT_BUFFER, () => refuse("out-of-band buffers")],
  [OP.PERSID, () => refuse("persistent ids")],
  [OP.BINPERSID, () => refuse("persistent ids")],
  [OP.EXT1, () => refuse("extension codes")],
  [OP.EXT2, () => refuse("extension codes")],
  [OP.EXT4, () => refuse("extension codes")],
]);

function protocol(version: number): void {
  if (version > HIGHEST_PROTOCOL) throw new DecodeError(`unsupported pickle protocol: ${version}`);
}

function index(line: Uint8Array): number {
  const text = asciiDecode(line);
  if (!/^\d{1,10}$/.test(text)) throw new DecodeError("a pickle's memo index is no number");
  return Number(text);
}

/** Protocols 0 and 1 have `01` and `00` for booleans. */
function int(text: string): boolean | number | bigint {
  if (text === "01" || text === "00") return text === "01";
  return parseLong(text);
}

function float(text: string): number {
  const plain = text.trim().toLowerCase();
  if (!FLOAT.test(plain)) throw new DecodeError("a pickled float is not one");
  if (!/[in]/.test(plain)) return Number(plain);
  if (plain.endsWith("nan")) return Number.NaN;
  return plain.startsWith("-") ? -Infinity : Infinity;
}

function popTuple(machine: Machine, length: number): Tuple {
  const items = Array.from({ length }, () => machine.pop());
  return tuple(items.reverse());
}

function append(machine: Machine, items: readonly unknown[]): void {
  const list = machine.top;
  if (!Array.isArray(list)) throw new DecodeError("a pickle appends to what is no list");
  for (const item of items) list.push(item);
}

function setItem(machine: Machine): void {
  const value = machine.pop();
  setItems(machine, [machine.pop(), value]);
}

function setItems(machine: Machine, items: readonly unknown[]): void {
  const dict = machine.top;
  if (!(dict instanceof Map)) throw new DecodeError("a pickle sets items of what is no dict");
  withItems(dict, items);
}

/** @param items keys and values in turn */
function withItems<M extends Map<unknown, unknown>>(dict: M, items: readonly unknown[]): M {
  if (items.length % 2) throw new DecodeError("odd number of items for a dict");
  for (let at = 0; at < items.length; at += 2) dict.set(items[at], items[at + 1]);
  return dict;
}

function addItems(machine: Machine, items: readonly unknown[]): void {
  const set = machine.top;
  if (!(set instanceof Set)) throw new DecodeError("a pickle adds items to what is no set");
  for (const item of items) set.add(item);
}

function stackGlobal(machine: Machine): void {
  const name = machine.pop();
  machine.push(machine.global(machine.pop(), name));
}

function inst(machine: Machine): void {
  const cls = machine.global(utf8Decode(machine.input.line()), utf8Decode(machine.input.line()));
  machine.push(cls.call(tuple(machine.popMark())));
}

function obj(machine: Machine): void {
  const [cls, ...args] = machine.popMark();
  machine.push(made(cls, tuple(args)));
}

/** NEWOBJ, and REDUCE: to make an object and to call a function come to the same for what is on the list. */
function newObject(machine: Machine): void {
  const args = machine.pop();
  machine.push(made(machine.pop(), args));
}

function newObjectEx(machine: Machine): void {
  const kwargs = machine.pop();
  if (!(kwargs instanceof Dict) || kwargs.size > 0) refuse("keyword arguments");
  newObject(machine);
}

function build(machine: Machine): void {
  const state = machine.pop();
  machine.push(built(machine.pop(), state));
}

function refuse(what: string): never {
  throw new DecodeError(`a pickle with ${what} is not read`);
}
