/** One way to compress: what `kombu.compression.register` takes. */
export interface CompressionMethod {
  /** What the `compression` header carries. */
  readonly contentType: string;
  /** What `taskCompression` and `resultCompression` call it. */
  readonly names: readonly string[];
  /** @throws SerializerNotInstalled when a package is missing */
  compress(body: Uint8Array): Promise<Uint8Array>;
  /**
   * @param limit bytes that the result may come to
   * @throws DecodeError when the body is not compressed so, or comes to more; SerializerNotInstalled when a package is
   *   missing
   */
  decompress(body: Uint8Array, limit: number): Promise<Uint8Array>;
}
