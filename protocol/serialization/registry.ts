import { type Compatibility, writes } from "../compatibility.ts";
import { CeleryError, ContentDisallowed, DecodeError, EncodeError, SerializerNotInstalled } from "../errors.ts";
import { utf8Decode } from "./bytes.ts";
import { json, jsonSerializer } from "./json.ts";
import { msgpack } from "./msgpack.ts";
import { pickle, pickleSerializer } from "./pickle.ts";
import type { Encoded, Serializer } from "./serializer.ts";
import { yaml } from "./yaml.ts";

/** Content that needs no serializer, so that kombu hands it out whatever `accept_content` says. */
const RAW_TYPES: ReadonlySet<string> = new Set(["application/data", "application/text"]);

/**
 * The serializers an application knows, by name and by content type. Mirrors `kombu/serialization.py
 * SerializerRegistry`.
 */
export class SerializerRegistry {
  readonly #byName = new Map<string, Serializer>();
  readonly #byType = new Map<string, Serializer>();

  constructor(serializers: Iterable<Serializer> = [json, msgpack, yaml, pickle]) {
    for (const serializer of serializers) this.register(serializer);
  }

  /** Adds a serializer, or puts it in the place of the one with its name. */
  register(serializer: Serializer): void {
    this.#byName.set(serializer.name, serializer);
    this.#byType.set(serializer.contentType, serializer);
  }

  /** @throws SerializerNotInstalled when no serializer has that name */
  get(name: string): Serializer {
    const serializer = this.#byName.get(name);
    if (serializer) return serializer;
    const known = [...this.#byName.keys()].join(", ");
    throw new SerializerNotInstalled(`No encoder installed for ${name}; there are: ${known}`);
  }

  /** @throws SerializerNotInstalled; EncodeError, also for whatever else a serializer of one's own throws */
  encode(value: unknown, name: string): Encoded {
    const serializer = this.get(name);
    const { contentType, contentEncoding } = serializer;
    try {
      return { contentType, contentEncoding, body: serializer.encode(value) };
    } catch (error) {
      if (error instanceof EncodeError || error instanceof SerializerNotInstalled) throw error;
      throw new EncodeError(`cannot be written as ${name}: ${(error as Error).message}`, { cause: error });
    }
  }

  /**
   * The content types that a list of serializer names or content types stands for.
   * Mirrors `prepare_accept_content`.
   * @throws SerializerNotInstalled for a name that is neither
   */
  accept(names: Iterable<string>): ReadonlySet<string> {
    return new Set(Array.from(names, (name) => (name.includes("/") ? name : this.get(name).contentType)));
  }

  /**
   * The value of serialized content.
   * @param accept what {@link accept} gave; null where the content is trusted: inside of what was signed
   * @param forward true for values that are only handed on, see {@link Serializer.decodeForward}
   * @throws ContentDisallowed when the content's type is not in `accept`; DecodeError when it cannot be read, also for
   *   whatever else a serializer of one's own throws
   */
  decode(content: Encoded, accept: ReadonlySet<string> | null, forward = false): unknown {
    const type = content.contentType || "application/data";
    const serializer = this.#byType.get(type);
    if (accept && !accept.has(type) && !RAW_TYPES.has(type)) {
      const allowed = [...accept].join(", ") || "nothing";
      throw new ContentDisallowed(
        `Refusing to deserialize untrusted content of type ${serializer?.name ?? "unknown"} (${type}); acceptContent allows: ${allowed}`,
      );
    }
    if (!serializer) return rawContent(content, type);
    try {
      return forward && serializer.decodeForward
        ? serializer.decodeForward(content.body)
        : serializer.decode(content.body);
    } catch (error) {
      if (error instanceof DecodeError || error instanceof SerializerNotInstalled) throw error;
      const message = error instanceof CeleryError ? error.message : `cannot be read as ${serializer.name}: ${error}`;
      throw new DecodeError(message, { cause: error });
    }
  }
}

/** All of kombu's, writing as this Celery's fleet does. */
export function serializersOf(compatibility: Compatibility): SerializerRegistry {
  const protocol = writes(compatibility, "pickleProtocol4") ? 4 : 2;
  return new SerializerRegistry([jsonSerializer(compatibility), msgpack, yaml, pickleSerializer({ protocol })]);
}

function rawContent({ body, contentEncoding }: Encoded, type: string): unknown {
  if (!RAW_TYPES.has(type)) throw new DecodeError(`No decoder installed for content of type ${type}`);
  return contentEncoding === "binary" ? body : utf8Decode(body);
}
