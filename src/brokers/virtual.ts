import type { Message } from "../../protocol/message/message.ts";
import type { Route } from "../../protocol/transport/entities.ts";
import { dumpEnvelope, type Envelope } from "../../protocol/transport/virtual.ts";
import { asBuffer } from "../buffer.ts";
import type { Delivery } from "./broker.ts";

/** What a delivery tells when it is settled. */
export interface Settlement {
  settle(tag: string, how: "ack" | "requeue"): void;
  /** See {@link Delivery.begin}. */
  begin?(tag: string): Promise<number>;
}

/** A message that came as an envelope, on a transport that has no messages of its own. */
export class VirtualDelivery implements Delivery {
  readonly message: Message;
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
  readonly returned = false;
  readonly begin?: () => Promise<number>;
  readonly #tag: string;
  readonly #settlement: Settlement | null;

  /** @param settlement null for a delivery that needs no settling */
  constructor(envelope: Envelope, queue: string, tag: string, settlement: Settlement | null) {
    const { delivery_info: info } = envelope.properties;
    this.message = messageOf(envelope);
    this.queue = queue;
    this.exchange = info.exchange;
    this.routingKey = info.routing_key;
    this.redelivered = info.redelivered === true;
    this.#tag = tag;
    this.#settlement = settlement;
    if (settlement?.begin) this.begin = () => settlement.begin?.(tag) ?? Promise.resolve(0);
  }

  ack(): void {
    this.#settlement?.settle(this.#tag, "ack");
  }

  reject({ requeue }: { requeue: boolean }): void {
    this.#settlement?.settle(this.#tag, requeue ? "requeue" : "ack");
  }
}

/**
 * The text of the envelope that a message travels in.
 * @param tag unique among all deliveries
 */
export function envelopeText(
  message: Message,
  route: Route,
  tag: string,
  bodyEncoding: "base64" | null = "base64",
): string {
  const { headers, properties, contentType, contentEncoding } = message;
  const body = asBuffer(message.body).toString(bodyEncoding ?? "utf8");
  return dumpEnvelope(
    { body, headers, properties, contentType, contentEncoding },
    { ...route, deliveryTag: tag, bodyEncoding },
  );
}

function messageOf({ body, contentType, contentEncoding, headers, properties }: Envelope): Message {
  const encoding = properties.body_encoding === "base64" ? "base64" : "utf8";
  return { body: Buffer.from(body, encoding), contentType, contentEncoding, headers, properties };
}
