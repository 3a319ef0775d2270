import type { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import type { ResultCodec } from "../backends/backend.ts";
import type { Settings } from "./settings.ts";

/**
 * How results are written and read: by `resultSerializer`, as far as `resultAcceptContent` or else `acceptContent`
 * allows. Mirrors `celery/backends/base.py Backend.__init__`.
 *
 * @throws SerializerNotInstalled when one of the settings names a serializer that is none
 */
export function resultCodec(serializers: SerializerRegistry, settings: Settings): ResultCodec {
  const { resultSerializer, resultAcceptContent, acceptContent } = settings;
  const { contentType, contentEncoding } = serializers.get(resultSerializer);
  const accept = serializers.accept(resultAcceptContent ?? acceptContent);
  return {
    contentType,
    contentEncoding,
    encode: (value) => serializers.encode(value, resultSerializer).body,
    decode: (body) => serializers.decode({ body, contentType, contentEncoding }, accept),
    decodeForward: (body) => serializers.decode({ body, contentType, contentEncoding }, accept, true),
    decodeContent: (content) => serializers.decode(content, accept),
  };
}
