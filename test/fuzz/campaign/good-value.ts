/** Containers within each other that a value may have: twice what any format allows. */
const MAX_DEPTH = 4100;
/** Parts that a value may have: more than its content has bytes, and shared ones counted each time. */
const MAX_PARTS = 3_000_000;

/** What is wrong with a value that was read; undefined for one that everybody can use. */
export function checkValue(value: unknown): string | undefined {
  let parts = 0;
  const stack: [value: unknown, depth: number][] = [[value, 0]];
  for (let next = stack.pop(); next; next = stack.pop()) {
    const [part, depth] = next;
    if (++parts > MAX_PARTS) return `a value of more than ${MAX_PARTS} parts`;
    if (depth > MAX_DEPTH) return "a value that is nested without end";
    if (typeof part === "function" || typeof part === "symbol") return `a ${typeof part}`;
    if (typeof part !== "object" || part === null || part instanceof Uint8Array) continue;
    if (!isHonest(part)) return `an object whose prototype came with the message: ${Object.keys(part).slice(0, 9)}`;
    for (const item of itemsOf(part)) stack.push([item, depth + 1]);
  }
  return undefined;
}

/** A plain object, or an instance of a class: what came off the wire can be no prototype. */
function isHonest(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as { constructor?: unknown } | null;
  if (prototype === null || prototype === Object.prototype) return true;
  return (
    Object.hasOwn(prototype, "constructor") &&
    (prototype.constructor as { prototype?: unknown }).prototype === prototype
  );
}

function itemsOf(value: object): unknown[] {
  if (value instanceof Map) return [...value].flat();
  if (value instanceof Set) return [...value];
  return Reflect.ownKeys(value).map((key) => Object.getOwnPropertyDescriptor(value, key)?.value as unknown);
}
