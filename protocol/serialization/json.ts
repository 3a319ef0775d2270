import { type Compatibility, writes } from "../compatibility.ts";
import { utf8Decode, utf8Encode } from "./bytes.ts";
import { loads, loadsForward } from "./json-reader.ts";
import { dumps } from "./json-writer.ts";
import type { Serializer } from "./serializer.ts";

/**
 * `application/json`, with Python's numbers, and with kombu's typed values where the fleet reads them. They are read
 * in any case.
 */
export function jsonSerializer(compatibility: Compatibility = "5.7"): Serializer {
  const untyped = !writes(compatibility, "typedJson");
  return {
    name: "json",
    contentType: "application/json",
    contentEncoding: "utf-8",
    encode: (value) => utf8Encode(dumps(value, untyped)),
    decode: (body) => loads(utf8Decode(body)),
    decodeForward: (body) => loadsForward(utf8Decode(body)),
  };
}

/** {@link jsonSerializer} as Celery 5.7 has it. */
export const json: Serializer = jsonSerializer();
