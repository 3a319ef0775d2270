import type { Message } from "../../../protocol/message/message.ts";
import type { Envelope } from "../../../protocol/transport/virtual.ts";
import type { Delivery } from "../broker.ts";

/** What a delivery tells when it is settled. */
export interface Settlement {
  settle(tag: string, how: "ack" | "requeue"): void;
}

/** A message off a Redis list, held in `unacked` until it is settled. */
export class RedisDelivery implements Delivery {
  readonly message: Message;
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
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
  }

  ack(): void {
    this.#settlement?.settle(this.#tag, "ack");
  }

  reject({ requeue }: { requeue: boolean }): void {
    this.#settlement?.settle(this.#tag, requeue ? "requeue" : "ack");
  }
}

function messageOf({ body, contentType, contentEncoding, headers, properties }: Envelope): Message {
  const encoding = properties.body_encoding === "base64" ? "base64" : "utf8";
  return { body: Buffer.from(body, encoding), contentType, contentEncoding, headers, properties };
}
