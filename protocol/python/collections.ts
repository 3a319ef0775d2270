/**
 * A Python `tuple`: an array in all that JavaScript does with it, which pickle writes as a tuple again. What `map`,
 * `slice` and the like make of it are plain arrays.
 */
export class Tuple<T = unknown> extends Array<T> {
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

/** A tuple of these items: the class's own constructor would take a lone number as a length, as `Array`'s does. */
export function tuple<T>(items: Iterable<T>): Tuple<T> {
  const made = new Tuple<T>();
  for (const item of items) made.push(item);
  return made;
}

/** A Python `frozenset`: a `Set` that pickle writes as a frozenset again. */
export class FrozenSet<T = unknown> extends Set<T> {}

/** A Python `collections.OrderedDict`: a `Map` that pickle writes as one again. */
export class OrderedDict<K = unknown, V = unknown> extends Map<K, V> {}
