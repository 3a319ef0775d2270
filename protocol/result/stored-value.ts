import { isPickle, pickle } from "../serialization/pickle.ts";
import type { Serializer } from "../serialization/serializer.ts";
import { dumpPickledGroup, loadPickledGroup } from "./pickled-group.ts";
import { dumpPickle } from "./plain-pickle-writer.ts";
import { asTuple, fromTuple, type ResultNode } from "./result-tuple.ts";

/** What reads and writes a value as `resultSerializer` says. */
export type ValueCodec = Pick<Serializer, "encode" | "decode" | "contentType">;

/**
 * How values and groups lie in the `result` columns of a database: from Celery 5.7 on as `resultSerializer` writes
 * them, before that as pickles whatever it says. Mirrors `celery/backends/database/__init__.py _decode_stored_result`.
 */
export interface StoredValues {
  /** Null where the column is to be NULL. @throws EncodeError */
  encode(value: unknown): Uint8Array | null;
  /** Reads either format, by looking. @throws DecodeError, ContentDisallowed */
  decode(bytes: Uint8Array | null): unknown;
  encodeGroup(group: ResultNode): Uint8Array;
  /** Null for content that is no group. @throws as `decode` */
  decodeGroup(bytes: Uint8Array): ResultNode | null;
}

/** The format of Celery 5.7. */
export function serializedValues(codec: ValueCodec): StoredValues {
  return {
    encode: (value) => codec.encode(value),
    encodeGroup: (group) => codec.encode(asTuple(group)),
    ...readers(codec),
  };
}

/** The format up to Celery 5.6. None is NULL. */
export function pickledValues(codec: ValueCodec): StoredValues {
  return {
    encode: (value) => (value === null || value === undefined ? null : dumpPickle(value)),
    encodeGroup: dumpPickledGroup,
    ...readers(codec),
  };
}

function readers(codec: ValueCodec): Pick<StoredValues, "decode" | "decodeGroup"> {
  // Where results are pickles anyway, their serializer may know exceptions of one's own.
  const isLegacy = (bytes: Uint8Array): boolean => codec.contentType !== pickle.contentType && isPickle(bytes);
  return {
    decode: (bytes) => bytes && (isLegacy(bytes) ? pickle.decode(bytes) : codec.decode(bytes)),
    decodeGroup: (bytes) => (isPickle(bytes) ? loadPickledGroup(bytes) : fromTuple(codec.decode(bytes))),
  };
}
