/** An integer as JavaScript holds it: a `number` where a double is exact, else a `bigint`. */
export function asInteger(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
