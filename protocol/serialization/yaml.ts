import { DecodeError, EncodeError } from "../errors.ts";
import { utf8Decode, utf8Encode } from "./bytes.ts";
import type { Serializer } from "./serializer.ts";
import { compose } from "./yaml/compose.ts";
import { Constructor } from "./yaml/construct.ts";
import { writeYaml } from "./yaml/writer.ts";

/**
 * `application/x-yaml`: YAML 1.1 as PyYAML's `safe_load` and `safe_dump` mean it, with the tags that they know and no
 * others: dates and datetimes, bytes, sets. Mirrors `kombu/serialization.py register_yaml`.
 */
export const yaml: Serializer = {
  name: "yaml",
  contentType: "application/x-yaml",
  contentEncoding: "utf-8",
  encode: (value) => utf8Encode(yamlDumps(value)),
  decode: (body) => yamlLoads(utf8Decode(body)),
  decodeForward: (body) => yamlLoads(utf8Decode(body), true),
};

/**
 * One value as a YAML document of one line.
 * @throws EncodeError for a value that PyYAML's `safe_dump` refuses (`Decimal`, `UUID`, times, tuples as keys…)
 */
export function yamlDumps(value: unknown): string {
  try {
    return `${writeYaml(value)}\n`;
  } catch (error) {
    if (error instanceof EncodeError) throw error;
    throw new EncodeError(`cannot be written as YAML: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * The value of a YAML document.
 * @param forward keeps `1.0` apart from `1`: see `Serializer.decodeForward`
 * @throws DecodeError when the text is no YAML, has more than one document, or a tag that is not known
 */
export function yamlLoads(text: string, forward = false): unknown {
  try {
    const { root, targets } = compose(text);
    return new Constructor(targets, text.length, forward).construct(root);
  } catch (error) {
    if (error instanceof DecodeError) throw error;
    throw new DecodeError(`cannot be read as YAML: ${(error as Error).message}`, { cause: error });
  }
}
