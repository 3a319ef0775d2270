import { utf8Decode, utf8Encode } from "./bytes.ts";
import { loads, loadsForward } from "./json-reader.ts";
import { dumps } from "./json-writer.ts";
import type { Serializer } from "./serializer.ts";

/** `application/json`, with kombu's typed values and Python's numbers. */
export const json: Serializer = {
  name: "json",
  contentType: "application/json",
  contentEncoding: "utf-8",
  encode: (value) => utf8Encode(dumps(value)),
  decode: (body) => loads(utf8Decode(body)),
  decodeForward: (body) => loadsForward(utf8Decode(body)),
};
