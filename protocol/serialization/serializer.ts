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
