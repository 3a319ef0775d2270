import { writes } from "../../protocol/compatibility.ts";
import { readCompressedPayload, writeCompressedPayload } from "../../protocol/result/compressed.ts";
import type { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import type { ResultCodec } from "../backends/backend.ts";
import { compress, compressionMethod, decompress } from "../compression/compression.ts";
import { ImproperlyConfigured } from "./errors.ts";
import type { Settings } from "./settings.ts";

/**
 * How results are written and read: by `resultSerializer`, as far as `resultAcceptContent` or else `acceptContent`
 * allows, compressed by `resultCompression`. Mirrors `celery/backends/base.py Backend.__init__`.
 *
 * @throws SerializerNotInstalled when one of the settings names a serializer that is none; ImproperlyConfigured when
 *   `resultCompression` is none
 */
export function resultCodec(serializers: SerializerRegistry, settings: Settings): ResultCodec {
  const { resultSerializer, resultAcceptContent, acceptContent } = settings;
  const { contentType, contentEncoding } = serializers.get(resultSerializer);
  const accept = serializers.accept(resultAcceptContent ?? acceptContent);
  const encode = (value: unknown): Uint8Array => serializers.encode(value, resultSerializer).body;
  checkCompression(settings);
  return {
    contentType,
    contentEncoding,
    encode,
    decode: (body) => serializers.decode({ body, contentType, contentEncoding }, accept),
    decodeForward: (body) => serializers.decode({ body, contentType, contentEncoding }, accept, true),
    decodeContent: (content, forward) => serializers.decode(content, accept, forward),
    decodePickle: (body) => serializers.get("pickle").decode(body),
    async pack(value) {
      const body = encode(value);
      return settings.resultCompression
        ? writeCompressedPayload(await compress(body, settings.resultCompression))
        : body;
    },
    unpack(stored) {
      const payload = readCompressedPayload(stored);
      return payload ? decompress(payload.body, payload.contentType, settings.inflatedSizeLimit) : stored;
    },
  };
}

function checkCompression({ resultCompression, compatibility }: Settings): void {
  if (!resultCompression) return;
  if (!writes(compatibility, "resultCompression")) {
    throw new ImproperlyConfigured(
      `Setting resultCompression: only Celery 5.7 reads compressed results, and compatibility is ${compatibility}`,
    );
  }
  try {
    compressionMethod(resultCompression);
  } catch (cause) {
    throw new ImproperlyConfigured(`Setting resultCompression: ${(cause as Error).message}`, { cause });
  }
}
