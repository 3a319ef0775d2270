/**
 * Where each rotation of a text begins, in the order of the rotations. Sorts by the first byte, then by twice as many
 * bytes each time, so that no text, however often it repeats itself, takes more than `n log n` steps.
 */
export function sortedRotations(text: Uint8Array): Uint32Array {
  const { length } = text;
  let order = countingSort(
    Uint32Array.from({ length }, (_, at) => at),
    text,
    256,
  );
  let { ranks, classes } = ranked(order, text, 0);
  for (let known = 1; known < length && classes < length; known *= 2) {
    // In the order of what follows behind the known bytes; sorting by those keeps it wherever they are equal.
    const behind = order.map((start) => (start < known ? start - known + length : start - known));
    order = countingSort(behind, ranks, classes);
    ({ ranks, classes } = ranked(order, ranks, known));
  }
  return order;
}

/** Equal ones keep their order. */
function countingSort(starts: Uint32Array, keys: Uint8Array | Uint32Array, classes: number): Uint32Array {
  const places = new Uint32Array(classes + 1);
  for (const key of keys) places[key + 1] = (places[key + 1] as number) + 1;
  for (let key = 0; key < classes; key++) places[key + 1] = (places[key + 1] as number) + (places[key] as number);
  const sorted = new Uint32Array(starts.length);
  for (let at = 0; at < starts.length; at++) {
    const start = starts[at] as number;
    const key = keys[start] as number;
    const place = places[key] as number;
    places[key] = place + 1;
    sorted[place] = start;
  }
  return sorted;
}

/** The place of each rotation among those that differ as far as is known. */
function ranked(
  order: Uint32Array,
  keys: Uint8Array | Uint32Array,
  known: number,
): { ranks: Uint32Array; classes: number } {
  const { length } = order;
  const ranks = new Uint32Array(length);
  let rank = 0;
  for (let at = 1; at < length; at++) {
    const [before, start] = [order[at - 1] as number, order[at] as number];
    const same = keys[before] === keys[start] && keys[(before + known) % length] === keys[(start + known) % length];
    if (!same) rank++;
    ranks[start] = rank;
  }
  return { ranks, classes: rank + 1 };
}
