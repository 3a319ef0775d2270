import { DecodeError } from "../../errors.ts";
import { FrozenSet, OrderedDict, Tuple, tuple } from "../../python/collections.ts";
import { Decimal } from "../../python/decimal.ts";
import { ExceptionValue } from "../../python/exception-value.ts";
import { TimeDelta } from "../../python/timedelta.ts";
import { UUID } from "../../python/uuid.ts";
import { readDate, readDateTime, readTime, Zone } from "./datetime-state.ts";
import { KNOWN_EXCEPTIONS } from "./exceptions.ts";
import { BACKEND_CLASSES, resultTuple } from "./results.ts";
import { latin1Encode } from "./text.ts";

/** A class or function that a pickle names. Nothing is looked up anywhere: it is one of the closed list, or an error. */
export class Global {
  /** `module.name` */
  readonly name: string;
  readonly #call: (args: readonly unknown[]) => unknown;

  constructor(name: string, call: (args: readonly unknown[]) => unknown) {
    this.name = name;
    this.#call = call;
  }

  /** What calling it with these arguments would give in Python. @throws DecodeError when it cannot be called so */
  call(args: unknown): unknown {
    if (!(args instanceof Tuple)) throw new DecodeError(`pickled arguments of ${this.name} are no tuple`);
    try {
      return this.#call(args);
    } catch (cause) {
      if (cause instanceof DecodeError) throw cause;
      throw new DecodeError(`pickled ${this.name} cannot be made: ${(cause as Error).message}`, { cause });
    }
  }
}

/** A `dict` while it is being read; what it becomes depends on all its keys. */
export class Dict extends Map<unknown, unknown> {}

/** An object that was made empty and gets its value by BUILD: a `uuid.UUID`. */
export class Unbuilt {
  value: UUID | undefined;
}

type Call = (args: readonly unknown[]) => unknown;

/** Python 2 had other names for these modules; protocols 0 to 2 use them to this day. */
const OLD_MODULES: Readonly<Record<string, string>> = {
  __builtin__: "builtins",
  exceptions: "builtins",
  copy_reg: "copyreg",
};

/** What cannot be called by itself, but is handed to something that can, which takes no notice of it. */
const classes = (names: readonly string[]): [string, Call][] => names.map((name) => [name, () => refuse(name)]);

const UNPICKLE_BACKEND = "celery.backends.base.unpickle_backend";

const CALLS: ReadonlyMap<string, Call> = new Map<string, Call>([
  ["builtins.set", ([items]) => new Set(list(items))],
  ["builtins.frozenset", ([items]) => new FrozenSet(list(items))],
  ["builtins.bytes", ([value]) => (value === undefined ? new Uint8Array() : bytes(value))],
  ["builtins.bytearray", ([value, encoding]) => byteArray(value, encoding)],
  ["builtins.tuple", ([items]) => tuple(list(items))],
  ["builtins.list", ([items]) => [...list(items)]],
  ["builtins.object", () => refuse("builtins.object")],
  ["_codecs.encode", ([value, encoding]) => encoded(value, encoding)],
  ["collections.OrderedDict", ([items]) => new OrderedDict(list(items).map(pair))],
  ["copyreg._reconstructor", ([cls]) => made(cls, tuple([]))],
  ["datetime.datetime", ([state, zone]) => readDateTime(stateOf(state), zoneOf(zone))],
  ["datetime.date", ([state]) => readDate(stateOf(state))],
  ["datetime.time", ([state, zone]) => readTime(stateOf(state), zoneOf(zone))],
  ["datetime.timedelta", ([days, seconds, micros]) => new TimeDelta(int(days), int(seconds), int(micros))],
  ["datetime.timezone", ([delta]) => new Zone(microseconds(delta))],
  ["pytz._UTC", () => new Zone(0)],
  ["zoneinfo.ZoneInfo", ([key]) => new Zone(text(key))],
  ["zoneinfo.ZoneInfo._unpickle", ([key]) => new Zone(text(key))],
  ["builtins.getattr", ([object, name]) => attribute(object, name)],
  ["decimal.Decimal", ([value]) => new Decimal(text(value))],
  ["uuid.UUID", ([hex]) => (hex === undefined ? new Unbuilt() : new UUID(text(hex)))],
  // A signature is sent as a dict by every serializer; pickle wraps it into this.
  ["celery.canvas.signature", ([dict]) => (dict instanceof Dict ? dict : refuse("celery.canvas.signature"))],
  [
    "celery.utils.serialization.UnpickleableExceptionWrapper",
    ([module, name, args]) => new ExceptionValue(text(module), text(name), list(args)),
  ],
  ...["AsyncResult", "GroupResult", "EagerResult"].map((type): [string, Call] => [
    `celery.result.${type}`,
    (args) => resultTuple(type, args),
  ]),
  // `app.AsyncResult` and the like: what Celery itself makes its results of.
  ["celery.app.base._unpickle_appattr", ([type, args]) => resultTuple(text(type), list(args))],
  // The backend that a result came from, which nobody asks for. As a value of its own it is refused by its name.
  [UNPICKLE_BACKEND, () => new Global(UNPICKLE_BACKEND, () => refuse(UNPICKLE_BACKEND))],
  ...classes(BACKEND_CLASSES),
]);

/**
 * The class or function of that name.
 *
 * @param exceptions more exception classes, `module.Name`
 * @throws DecodeError naming a global that is not among those that are read
 */
export function findGlobal(module: string, name: string, exceptions: ReadonlySet<string>): Global {
  const actual = Object.hasOwn(OLD_MODULES, module) ? (OLD_MODULES[module] as string) : module;
  const full = `${actual}.${name}`;
  const call = CALLS.get(full);
  if (call) return new Global(full, call);
  if (KNOWN_EXCEPTIONS.has(full) || exceptions.has(full)) {
    return new Global(full, (args) => new ExceptionValue(actual, name, args));
  }
  throw new DecodeError(`the pickle names ${full}, which is not among the classes that are read from pickles`);
}

/** `cls.__new__(cls, *args)`. @throws DecodeError */
export function made(cls: unknown, args: unknown): unknown {
  if (!(cls instanceof Global)) throw new DecodeError("a pickle calls what is no class");
  return cls.call(args);
}

/** `object.__setstate__(state)`. @returns what stands in the object's place @throws DecodeError */
export function built(object: unknown, state: unknown): unknown {
  if (object instanceof Unbuilt && state instanceof Dict) {
    const number = state.get("int");
    if ((typeof number !== "number" && typeof number !== "bigint") || number < 0) refuse("uuid.UUID");
    object.value = new UUID(
      BigInt(number as number)
        .toString(16)
        .padStart(32, "0"),
    );
    return object;
  }
  if (object instanceof ExceptionValue && (state instanceof Dict || state === null)) {
    const attributes = state === null ? null : (state as unknown as Record<string, unknown>);
    return Object.assign(object, { state: attributes });
  }
  // The attributes of a subclass; a dict of the class itself has none.
  if (object instanceof OrderedDict) return object;
  throw new DecodeError("a pickle sets the state of what has none");
}

function attribute(object: unknown, name: unknown): Global {
  if (object instanceof Global && name === "_unpickle") return findGlobal("zoneinfo", "ZoneInfo._unpickle", new Set());
  throw new DecodeError(`the pickle asks builtins.getattr for ${String(name)}, which is not read from pickles`);
}

function byteArray(value: unknown, encoding: unknown): Uint8Array {
  if (value === undefined) return new Uint8Array();
  return typeof value === "string" ? encoded(value, encoding) : bytes(value).slice();
}

function encoded(value: unknown, encoding: unknown): Uint8Array {
  if (!/^(?:latin-?1|iso-?8859-1)$/i.test(String(encoding))) refuse("_codecs.encode");
  return latin1Encode(text(value));
}

/** Protocols 0 to 2 of Python 2 have the state as text. */
function stateOf(value: unknown): Uint8Array {
  return typeof value === "string" ? latin1Encode(value) : bytes(value);
}

function zoneOf(value: unknown): Zone | null {
  if (value === undefined || value === null) return null;
  if (value instanceof Zone) return value;
  throw new DecodeError("a pickled time zone is none");
}

function microseconds(delta: unknown): number {
  if (!(delta instanceof TimeDelta)) throw new DecodeError("the offset of a pickled time zone is no timedelta");
  const offset = (delta.days * 86_400 + delta.seconds) * 1e6 + delta.microseconds;
  if (Math.abs(offset) >= 86_400e6) throw new DecodeError("the offset of a pickled time zone is a day or more");
  return offset;
}

function int(value: unknown): number {
  return typeof value === "number" || value === undefined ? (value ?? 0) : refuse("datetime.timedelta");
}

function list(value: unknown): unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : refuse("builtins.list");
}

function pair(value: unknown): [unknown, unknown] {
  return Array.isArray(value) && value.length === 2 ? [value[0], value[1]] : refuse("collections.OrderedDict");
}

function bytes(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : refuse("builtins.bytes");
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new DecodeError("a pickle has something else in the place of text");
  return value;
}

function refuse(name: string): never {
  throw new DecodeError(`a pickle calls ${name} with other arguments than Python does`);
}
