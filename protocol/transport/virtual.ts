import { DecodeError } from "../errors.ts";
import { isMapping } from "../message/headers.ts";
import type { Message, MessageProperties } from "../message/message.ts";
import { loads, loadsForward } from "../serialization/json-reader.ts";
import { dumpString, dumps } from "../serialization/json-writer.ts";

/**
 * A message on a transport that has no messages of its own (Redis, files): one JSON object.
 * Mirrors `kombu/transport/virtual/base.py prepare_message`.
 */
export interface Envelope {
  /** The body in `body_encoding`: base64, or the text itself. */
  body: string;
  contentEncoding: string;
  contentType: string;
  headers: Record<string, unknown>;
  properties: EnvelopeProperties;
}

/** {@link MessageProperties} with what a virtual transport adds to them. */
export interface EnvelopeProperties extends MessageProperties {
  body_encoding?: string | null;
  delivery_tag: string;
  delivery_info: { exchange: string; routing_key: string; redelivered?: boolean };
}

/** How a virtual transport delivers a message. */
export interface VirtualDeliveryInfo {
  /** Unique among all deliveries. */
  deliveryTag: string;
  exchange: string;
  routingKey: string;
  bodyEncoding: "base64" | null;
}

/**
 * The text of an envelope, its keys in kombu's order.
 * @param message its body already in the body encoding
 */
export function dumpEnvelope(message: Omit<Message, "body"> & { body: string }, info: VirtualDeliveryInfo): string {
  const { body, contentEncoding, contentType, headers, properties } = message;
  const text = info.bodyEncoding === "base64" ? `"${body}"` : dumpString(body);
  return `{"body": ${text}, "content-encoding": ${dumpString(contentEncoding)}, "content-type": ${dumpString(contentType)}, "headers": ${dumps(headers)}, "properties": ${dumpProperties(properties, info)}}`;
}

/** The sender's properties, then what the transport adds: written at once, without an object in between. */
function dumpProperties(properties: MessageProperties, info: VirtualDeliveryInfo): string {
  let sent = "";
  for (const name in properties) {
    if (name !== "priority" && properties[name] !== undefined) {
      sent += `${dumpString(name)}: ${dumps(properties[name])}, `;
    }
  }
  const { exchange, routingKey, bodyEncoding, deliveryTag } = info;
  return `{${sent}"delivery_info": {"exchange": ${dumpString(exchange)}, "routing_key": ${dumpString(routingKey)}}, "priority": ${dumps(properties.priority ?? 0)}, "body_encoding": ${dumps(bodyEncoding)}, "delivery_tag": ${dumpString(deliveryTag)}}`;
}

/**
 * Reads an envelope.
 * @throws DecodeError when the text is not one
 */
export function readEnvelope(text: string): Envelope {
  const raw = loads(text);
  if (!isMapping(raw) || !isMapping(raw.properties)) throw new DecodeError("not a message: no properties");
  const { properties, headers } = raw;
  const info = isMapping(properties.delivery_info) ? properties.delivery_info : {};
  return {
    body: typeof raw.body === "string" ? raw.body : dumps(raw.body ?? ""),
    contentType: typeof raw["content-type"] === "string" ? raw["content-type"] : "",
    contentEncoding: typeof raw["content-encoding"] === "string" ? raw["content-encoding"] : "utf-8",
    headers: isMapping(headers) ? headers : {},
    properties: {
      ...properties,
      delivery_tag: typeof properties.delivery_tag === "string" ? properties.delivery_tag : "",
      delivery_info: {
        exchange: typeof info.exchange === "string" ? info.exchange : "",
        routing_key: typeof info.routing_key === "string" ? info.routing_key : "",
        redelivered: info.redelivered === true,
      },
    },
  };
}

/**
 * The text of an envelope whose message is delivered again: both marks set, all else as it came.
 * Mirrors `kombu/transport/redis.py _do_restore_message`.
 * @throws DecodeError when the text is not an envelope
 */
export function markRedelivered(text: string): string {
  const raw = loadsForward(text);
  if (!isMapping(raw)) throw new DecodeError("not a message");
  if (isMapping(raw.headers)) raw.headers.redelivered = true;
  if (isMapping(raw.properties) && isMapping(raw.properties.delivery_info)) {
    raw.properties.delivery_info.redelivered = true;
  }
  return dumps(raw);
}

/** The bindings of one exchange. */
export interface Binding {
  readonly routingKey: string;
  readonly pattern: string;
  readonly queue: string;
}

/**
 * The regular expression that kombu stores for a topic binding: `*` one word, `#` any text.
 * Mirrors `kombu/transport/virtual/exchange.py key_to_pattern`.
 */
export function topicPattern(routingKey: string): string {
  const words = routingKey.split(".").map((word) => {
    if (word === "*") return "[^\\.]+";
    return word === "#" ? ".*?" : escapeLikePython(word);
  });
  return `^${words.join("\\.")}$`;
}

/** kombu escapes whatever is neither a letter nor a digit (`kombu/utils/text.py escape_regex`). */
function escapeLikePython(word: string): string {
  return word.replace(/[^\p{L}\p{N}.#*]/gu, (char) => `\\${char}`);
}

/**
 * The queues that a message with this routing key reaches. Mirrors the `lookup` of each exchange type.
 *
 * @param type of the exchange; a table with patterns is a topic's whatever it says
 */
export function lookup(
  table: readonly Binding[],
  type: "direct" | "topic" | "fanout",
  routingKey: string,
): ReadonlySet<string> {
  const matches = (binding: Binding): boolean => {
    if (type === "fanout") return true;
    return type === "topic" ? matchesTopic(binding, routingKey) : binding.routingKey === routingKey;
  };
  return new Set(table.filter(matches).map((binding) => binding.queue));
}

/** Compared word by word: a pattern that came off the wire is never run. */
function matchesTopic(binding: Binding, routingKey: string): boolean {
  return matchWords(binding.routingKey.split("."), routingKey.split("."));
}

/**
 * `#` takes one word at least here, as kombu's pattern does: `a.#` does not match `a`. All ways to match are followed
 * side by side, as there are twice as many with every `#`.
 */
function matchWords(pattern: readonly string[], words: readonly string[]): boolean {
  let reached = new Set([0]);
  for (const word of words) {
    const next = new Set<number>();
    for (const at of reached) {
      const part = pattern[at];
      if (part === "#") next.add(at).add(at + 1);
      else if (part === "*" ? word !== "" : part === word) next.add(at + 1);
    }
    reached = next;
  }
  return reached.has(pattern.length);
}
