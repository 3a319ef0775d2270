import { DecodeError } from "../../errors.ts";
import { FrozenSet, OrderedDict } from "../../python/collections.ts";
import { ExceptionValue } from "../../python/exception-value.ts";
import { Expansion } from "../expansion.ts";
import { setOwn } from "../own-key.ts";
import { Zone } from "./datetime-state.ts";
import { Dict, Global, Unbuilt } from "./globals.ts";

/**
 * Turns what the machine left into values as the application sees them: dicts into objects, or into `Map`s where a key
 * is no text.
 *
 * @param size bytes of the pickle
 * @throws DecodeError for a class as a value, for a value that holds itself, is nested too deeply, or grows too large
 *   by being shared
 */
export function settle(value: unknown, size: number): unknown {
  return new Settler(size).settle(value);
}

class Settler {
  readonly #expansion: Expansion;

  constructor(size: number) {
    this.#expansion = new Expansion(size);
  }

  settle(value: unknown): unknown {
    if (typeof value !== "object" || value === null) return this.#leaf(value);
    if (value instanceof Unbuilt) return value.value ?? refuse("uuid.UUID");
    if (value instanceof Global) return refuse(value.name);
    if (value instanceof Zone) return refuse("datetime.tzinfo");
    const isContainer =
      Array.isArray(value) || value instanceof Map || value instanceof Set || value instanceof ExceptionValue;
    return isContainer ? this.#expansion.container(value, () => this.#container(value)) : this.#leaf(value);
  }

  #leaf(value: unknown): unknown {
    this.#expansion.leaf();
    return value;
  }

  #container(value: object): unknown {
    if (Array.isArray(value)) {
      for (let at = 0; at < value.length; at++) value[at] = this.settle(value[at]);
      return value;
    }
    if (value instanceof Dict) return this.#dict(value);
    if (value instanceof Map) return new OrderedDict(this.#entries(value));
    if (value instanceof FrozenSet) return new FrozenSet(Array.from(value, (item) => this.settle(item)));
    if (value instanceof Set) return new Set(Array.from(value, (item) => this.settle(item)));
    const { module, type, args, state } = value as ExceptionValue;
    const settled = args.map((arg) => this.settle(arg));
    return new ExceptionValue(module, type, settled, this.settle(state) as Record<string, unknown> | null);
  }

  #dict(dict: Dict): unknown {
    const entries = this.#entries(dict);
    if (!entries.every(([key]) => typeof key === "string")) return new Map(entries);
    const object: Record<string, unknown> = {};
    for (const [key, item] of entries) setOwn(object, key as string, item);
    return object;
  }

  #entries(map: ReadonlyMap<unknown, unknown>): [unknown, unknown][] {
    return Array.from(map, ([key, item]) => [this.settle(key), this.settle(item)]);
  }
}

function refuse(name: string): never {
  throw new DecodeError(`a pickle has ${name} as a value, which is not read`);
}
