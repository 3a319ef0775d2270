import type { Channel, ConsumeMessage } from "amqplib";
import type { Message } from "../../../protocol/message/message.ts";
import type { Delivery } from "../broker.ts";
import { readMessage } from "./properties.ts";

/** Whom a delivery asks before it is settled. */
export interface Settlement {
  /** @returns false when it was settled before, or is {@link AmqpDelivery.returned} */
  settle(delivery: AmqpDelivery): boolean;
}

/** A message that RabbitMQ delivered, to be settled on the channel that it came by. */
export class AmqpDelivery implements Delivery {
  readonly message: Message;
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
  returned = false;
  readonly channel: Channel;
  readonly #delivered: ConsumeMessage;
  readonly #settlement: Settlement | null;

  /**
   * @param settlement null for a delivery that needs no settling
   * @throws DecodeError when its headers cannot be read
   */
  constructor(delivered: ConsumeMessage, queue: string, channel: Channel, settlement: Settlement | null) {
    const { exchange, routingKey, redelivered } = delivered.fields;
    this.message = readMessage(delivered);
    this.queue = queue;
    this.exchange = exchange;
    this.routingKey = routingKey;
    this.redelivered = redelivered;
    this.channel = channel;
    this.#delivered = delivered;
    this.#settlement = settlement;
  }

  ack(): void {
    if (this.#settlement?.settle(this)) this.channel.ack(this.#delivered);
  }

  reject({ requeue }: { requeue: boolean }): void {
    if (this.#settlement?.settle(this)) this.channel.reject(this.#delivered, requeue);
  }
}
