import { forwardedValue } from "../serialization/forwarded.ts";
import { FrozenSet, Tuple } from "./collections.ts";
import { ExceptionValue } from "./exception-value.ts";
import { numberRepr } from "./numbers.ts";
import { repr, scalarRepr } from "./repr.ts";

const SURROGATE = /[\ud800-\udfff]/;

/** What is left of the text's budget, and whether the text was already cut. */
interface Budget {
  left: number;
  cut: boolean;
}

/**
 * The short Python `repr` that Celery puts into the `argsrepr` and `kwargsrepr` headers, logs and events: cut after
 * about `maxLength` characters but with every bracket closed, containers deeper than `maxLevels` shown as `[...]`,
 * strings with only `'` escaped, binary bytes as hexadecimal.
 * Mirrors `celery/utils/saferepr.py`.
 *
 * @param value an array is shown as a list; see {@link argsRepr} for positional arguments
 * @param maxLength characters, 0 for no limit
 */
export function saferepr(value: unknown, maxLength = 0, maxLevels = 3): string {
  return container(value, newBudget(maxLength), maxLevels, 0);
}

/** {@link saferepr} of positional arguments: they are a tuple in Python, `(1, 2)` or `(1,)`. */
export function argsRepr(args: readonly unknown[], maxLength = 1024, maxLevels = 3): string {
  return sequence("(", args, args.length === 1 ? ",)" : ")", newBudget(maxLength), maxLevels, 0);
}

function newBudget(maxLength: number): Budget {
  return { left: maxLength || Number.POSITIVE_INFINITY, cut: false };
}

/** One token of the text, or the sign that there is no room for it. */
function emit(text: string, budget: Budget): string {
  if (budget.left <= 0) {
    budget.cut = true;
    return ", ...";
  }
  budget.left -= characters(text);
  return text;
}

/** How long Python would say the text is: it counts a character once that takes two places in JavaScript. */
function characters(text: string): number {
  return SURROGATE.test(text) ? Array.from(text).length : text.length;
}

function container(value: unknown, budget: Budget, maxLevels: number, level: number): string {
  if (typeof value === "string") return budget.left <= 0 ? emit("", budget) : emit(quoted(value, budget.left), budget);
  if (typeof value === "number") return emit(truncate(numberRepr(value), budget.left), budget);
  if (value instanceof Tuple) {
    return sequence("(", value, value.length === 1 ? ",)" : ")", budget, maxLevels, level);
  }
  if (Array.isArray(value)) return sequence("[", value, "]", budget, maxLevels, level);
  if (value instanceof Set) return set(value, budget, maxLevels, level);
  if (value instanceof Map) return mapping([...value], budget, maxLevels, level);
  if (typeof value === "object" && value !== null) {
    if (value instanceof Uint8Array) return budget.left <= 0 ? emit("", budget) : emit(bytes(value, budget), budget);
    const known = forwardedValue(value);
    if (known !== value) return container(known, budget, maxLevels, level);
    const scalar = value instanceof ExceptionValue ? repr(value) : scalarRepr(value);
    if (scalar === undefined) return mapping(Object.entries(value), budget, maxLevels, level);
    return emit(truncate(scalar, budget.left), budget);
  }
  return emit(truncate(repr(value), budget.left), budget);
}

function set(value: ReadonlySet<unknown>, budget: Budget, maxLevels: number, level: number): string {
  const frozen = value instanceof FrozenSet;
  if (value.size === 0) return emit(frozen ? "frozenset()" : "set()", budget);
  return sequence(frozen ? "frozenset({" : "{", [...value], frozen ? "})" : "}", budget, maxLevels, level);
}

function sequence(
  open: string,
  items: readonly unknown[],
  close: string,
  budget: Budget,
  maxLevels: number,
  level: number,
): string {
  if (maxLevels && level >= maxLevels) return emit(`${open}...${close}`, budget);
  let out = emit(open, budget);
  if (budget.cut) return out;
  for (let i = 0; i < items.length; i++) {
    if (i) out += emit(", ", budget);
    if (!budget.cut) out += container(items[i], budget, maxLevels, level + 1);
    if (budget.cut) return out + close;
  }
  budget.left -= close.length;
  return out + close;
}

function mapping(
  entries: readonly (readonly [unknown, unknown])[],
  budget: Budget,
  maxLevels: number,
  level: number,
): string {
  if (maxLevels && level >= maxLevels) return emit("{...}", budget);
  let out = emit("{", budget);
  if (budget.cut) return out;
  for (let i = 0; i < entries.length; i++) {
    const [key, value] = entries[i] as readonly [unknown, unknown];
    if (i) out += emit(", ", budget);
    if (!budget.cut && budget.left <= 0) out += emit("", budget);
    if (!budget.cut) out += emit(saferepr(key, budget.left, maxLevels), budget);
    if (!budget.cut) out += emit(": ", budget);
    if (!budget.cut) out += container(value, budget, maxLevels, level + 1);
    if (budget.cut) return `${out}}`;
  }
  budget.left -= 1;
  return `${out}}`;
}

function quoted(text: string, room: number): string {
  return `'${truncate(text, room).replaceAll("'", "\\'")}'`;
}

/** Cut at the last space before `length` characters, as `celery/utils/text.py truncate` does. */
function truncate(text: string, length: number): string {
  if (text.length < length) return text;
  const beginning = Array.from(text.slice(0, 2 * length));
  if (beginning.length < length) return text;
  const head = beginning.slice(0, length).join("");
  const space = head.lastIndexOf(" ");
  return `${space < 0 ? head : head.slice(0, space)}...`;
}

function bytes(value: Uint8Array, budget: Budget): string {
  const cut = value.length > budget.left;
  const head = cut ? value.subarray(0, budget.left) : value;
  return `b'${text(head)}${cut ? "..." : ""}'`;
}

function text(value: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    return Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}
