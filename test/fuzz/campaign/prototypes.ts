/** What every value inherits from, and must be as it was whatever was read. */
const GUARDED: readonly object[] = [
  ...[Object, Array, Function, String, Number, Boolean, BigInt, Symbol, Date, RegExp, Map, Set, Promise, Error],
  ...[ArrayBuffer, Uint8Array, Buffer],
].flatMap((type) => [type, type.prototype as object]);

type Snapshot = ReadonlyMap<PropertyKey, PropertyDescriptor>;

const before: readonly { guarded: object; parent: object | null; properties: Snapshot }[] = GUARDED.map((guarded) => ({
  guarded,
  parent: Object.getPrototypeOf(guarded) as object | null,
  properties: snapshot(guarded),
}));

function snapshot(guarded: object): Snapshot {
  return new Map(
    Reflect.ownKeys(guarded).map((key) => [key, Object.getOwnPropertyDescriptor(guarded, key) as PropertyDescriptor]),
  );
}

/** The first thing that is not as it was when this module was loaded; undefined where all is. */
export function prototypeChanges(): string | undefined {
  for (const { guarded, parent, properties } of before) {
    const name = typeof guarded === "function" ? guarded.name : `${guarded.constructor?.name}.prototype`;
    if (Object.getPrototypeOf(guarded) !== parent) return `the prototype of ${name}`;
    const keys = Reflect.ownKeys(guarded);
    if (keys.length !== properties.size) return `the properties of ${name}: ${keys.map(String).join(", ")}`;
    for (const key of keys) {
      if (isVolatile(guarded, key)) continue;
      const [was, is] = [properties.get(key), Object.getOwnPropertyDescriptor(guarded, key)];
      if (!was || !Object.is(was.value, is?.value) || was.get !== is?.get || was.set !== is?.set)
        return `${name}.${String(key)}`;
    }
  }
  return undefined;
}

/** `RegExp.$1` and its like change with every match; what the test runner sets on Error is not ours. */
function isVolatile(guarded: object, key: PropertyKey): boolean {
  return guarded === RegExp || (guarded === Error && key !== "prototype");
}
