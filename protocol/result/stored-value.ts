import { pickle, pickleDumps } from "../serialization/pickle.ts";
import type { Serializer } from "../serialization/serializer.ts";
import { dumpPickledGroup } from "./pickled-group.ts";
import { asTuple, fromTuple, type ResultNode } from "./result-tuple.ts";

/** What reads and writes a value as `resultSerializer` says. */
export type ValueCodec = Pick<Serializer, "encode" | "decode" | "contentType">;

/** Reads a pickle, as `Serializer.decode` does. */
export type DecodePickle = Serializer["decode"];

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

/**
 * The format of Celery 5.7.
 * @param decodePickle reads what older versions left; knows no exceptions of the application's own unless given
 */
export function serializedValues(codec: ValueCodec, decodePickle: DecodePickle = pickle.decode): StoredValues {
  return {
    encode: (value) => codec.encode(value),
    encodeGroup: (group) => codec.encode(asTuple(group)),
    ...readers(codec, decodePickle),
  };
}

/** The format up to Celery 5.6. None is NULL. @param decodePickle as {@link serializedValues} has it */
export function pickledValues(codec: ValueCodec, decodePickle: DecodePickle = pickle.decode): StoredValues {
  return {
    encode: (value) => (value === null || value === undefined ? null : pickleDumps(value)),
    encodeGroup: dumpPickledGroup,
    ...readers(codec, decodePickle),
  };
}

function readers(codec: ValueCodec, decodePickle: DecodePickle): Pick<StoredValues, "decode" | "decodeGroup"> {
  // Where results are pickles anyway, `resultAcceptContent` has to allow them.
  const isLegacy = (bytes: Uint8Array): boolean => codec.contentType !== pickle.contentType && isPickle(bytes);
  const decode = (bytes: Uint8Array): unknown => (isLegacy(bytes) ? decodePickle(bytes) : codec.decode(bytes));
  return {
    decode: (bytes) => bytes && decode(bytes),
    decodeGroup: (bytes) => fromTuple(decode(bytes)),
  };
}

/** True for bytes that begin as every pickle of protocol 2 to 5 does; a msgpack map of nothing is one byte shorter. */
function isPickle(bytes: Uint8Array): boolean {
  return bytes[0] === 0x80 && (bytes[1] ?? 0) >= 2 && (bytes[1] ?? 0) <= 5;
}
