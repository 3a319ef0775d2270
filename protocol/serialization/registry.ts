import { ContentDisallowed, DecodeError, SerializerNotInstalled } from "../errors.ts";
import { utf8Decode } from "./bytes.ts";
import { json } from "./json.ts";
import { msgpack } from "./msgpack.ts";
import type { Encoded, Serializer } from "./serializer.ts";

/** Content that needs no serializer, so that kombu hands it out whatever `accept_content` says. */
const RAW_TYPES: ReadonlySet<string> = new Set(["application/data", "application/text"]);

/**
 * The serializers an application knows, by name and by content type. Mirrors `kombu/serialization.py
 * SerializerRegistry`.
 */
export class SerializerRegistry {
  readonly #byName = new Map<string, Serializer>();
  readonly #byType = new Map<string, Serializer>();

  constructor(serializers: Iterable<Serializer> = [json, msgpack]) {
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

  /** @throws SerializerNotInstalled, EncodeError */
  encode(value: unknown, name: string): Encoded {
    const { contentType, contentEncoding, encode } = this.get(name);
    return { contentType, contentEncoding, body: encode(value) };
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
   * @param accept what {@link accept} gave
   * @param forward true for values that are only handed on, see {@link Serializer.decodeForward}
   * @throws ContentDisallowed when the content's type is not in `accept`; DecodeError when it cannot be read
   */
  decode(content: Encoded, accept: ReadonlySet<string>, forward = false): unknown {
    const type = content.contentType || "application/data";
    const serializer = this.#byType.get(type);
    if (!accept.has(type) && !RAW_TYPES.has(type)) {
      throw new ContentDisallowed(
        `Refusing to deserialize disabled content of type ${serializer?.name ?? "unknown"} (${type}); acceptContent allows: ${[...accept].join(", ") || "nothing"}`,
      );
    }
    if (serializer) {
      return forward && serializer.decodeForward
        ? serializer.decodeForward(content.body)
        : serializer.decode(content.body);
    }
    if (RAW_TYPES.has(type)) return content.contentEncoding === "binary" ? content.body : utf8Decode(content.body);
    throw new DecodeError(`No decoder installed for content of type ${type}`);
  }
}
