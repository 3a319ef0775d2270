import { SerializerNotInstalled } from "../errors.ts";
import { utf8Decode, utf8Encode } from "./bytes.ts";

/** One way of turning values into bytes: kombu's `register(name, encoder, decoder, content_type, content_encoding)`. */
export interface Serializer {
  /** What `taskSerializer`, `resultSerializer` and `acceptContent` call it. */
  readonly name: string;
  readonly contentType: string;
  readonly contentEncoding: string;
  /** @throws EncodeError for a value with no form in this serializer */
  encode(value: unknown): Uint8Array;
  /** @throws DecodeError when the bytes are not this serializer's */
  decode(body: Uint8Array): unknown;
  /**
   * Reads values that are only handed on, keeping what JavaScript would change: the rest of a chain, callbacks, the
   * arguments of a retry. Serializers that need no such care leave it out, and `decode` serves.
   * @throws DecodeError as `decode`
   */
  decodeForward?(body: Uint8Array): unknown;
}

/** A serialized value with what the reader has to know about it. */
export interface Encoded {
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly contentEncoding: string;
}

/** Text, for a content encoding such as `utf-8`; bytes for `binary`. */
export type Payload = string | Uint8Array;

/**
 * A serializer from the arguments of `kombu.serialization.register`.
 *
 * @param encoder null where the serializer only reads
 * @param decoder null where it only writes; given text unless the content encoding is `binary`
 * @param contentType the MIME type that messages carry
 * @param contentEncoding the character set of what the encoder gives: `utf-8`, `us-ascii`, or `binary`
 */
export function customSerializer(
  name: string,
  encoder: ((value: unknown) => Payload) | null,
  decoder: ((payload: never) => unknown) | null,
  contentType: string,
  contentEncoding = "utf-8",
): Serializer {
  const isBinary = contentEncoding === "binary";
  return {
    name,
    contentType,
    contentEncoding,
    encode(value) {
      if (!encoder) throw new SerializerNotInstalled(`No encoder installed for ${name}`);
      const payload = encoder(value);
      return typeof payload === "string" ? utf8Encode(payload) : payload;
    },
    decode(body) {
      if (!decoder) throw new SerializerNotInstalled(`No decoder installed for ${name}`);
      return decoder((isBinary ? body : utf8Decode(body)) as never);
    },
  };
}
