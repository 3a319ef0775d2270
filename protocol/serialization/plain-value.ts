import { EncodeError } from "../errors.ts";
import { forwardedValue } from "./forwarded.ts";

/**
 * What a serializer writes in the place of an object that is none of the value types: the value behind one that was
 * only forwarded, what its `toJSON` gives, or, for a plain object, the object itself.
 *
 * @throws EncodeError for an instance of a class that has no form in Python
 */
export function plainValue(value: object): unknown {
  const known = forwardedValue(value);
  if (known !== value) return known;
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return value;
  const toJson = (value as { toJSON?: unknown }).toJSON;
  if (typeof toJson === "function") return toJson.call(value);
  throw new EncodeError(`cannot represent an object of type ${value.constructor?.name || "object"}`);
}
