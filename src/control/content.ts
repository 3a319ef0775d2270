import type { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import type { Encoded } from "../../protocol/serialization/serializer.ts";
import type { Settings } from "../app/settings.ts";

/** How commands and replies are written and read. */
export interface ControlContent {
  /** @throws EncodeError */
  encode(value: unknown): Encoded;
  /** @throws ContentDisallowed, DecodeError */
  decode(content: Encoded): unknown;
}

/**
 * Commands are JSON, or signed where tasks are, and read by `acceptContent`. Mirrors `celery/app/control.py Control` and
 * `celery/security/__init__.py`, which makes `auth` the default serializer.
 */
export function controlContent(serializers: SerializerRegistry, settings: Settings): ControlContent {
  const name = settings.taskSerializer === "auth" ? "auth" : "json";
  return {
    encode: (value) => serializers.encode(value, name),
    // Not before it is needed: a serializer of one's own may be registered until then.
    decode: (content) => serializers.decode(content, serializers.accept(settings.acceptContent)),
  };
}
