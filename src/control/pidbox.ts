import {
  type ControlRequest,
  type MailboxOptions,
  pidboxQueue,
  readControlRequest,
  replyExchange,
} from "../../protocol/control/pidbox.ts";
import { stringRepr } from "../../protocol/python/repr.ts";
import type { Broker, ConsumeOptions, Delivery } from "../brokers/broker.ts";
import { COMMANDS } from "./commands.ts";
import type { ControlContent } from "./content.ts";
import { MailboxConsumer } from "./mailbox-consumer.ts";
import { nodeMatcher } from "./node-matcher.ts";
import type { PanelContext } from "./panel.ts";

/** What a worker's mailbox is made with. */
export interface PidboxOptions {
  panel: PanelContext;
  options: MailboxOptions;
  content: ControlContent;
  /** To read by, and to reply by. */
  readBroker: Broker;
  writeBroker(): Promise<Broker>;
  publishTimeoutMs: number;
}

/** A worker's mailbox: takes remote control commands and replies. Mirrors `kombu/pidbox.py Node`. */
export class Pidbox {
  readonly #options: PidboxOptions;
  #consumer: MailboxConsumer | undefined;

  constructor(options: PidboxOptions) {
    this.#options = options;
  }

  /** @throws OperationalError */
  async start(): Promise<void> {
    const { panel, options, readBroker } = this.#options;
    const consumeOptions: ConsumeOptions = {
      prefetch: 0,
      noAck: true,
      onDelivery: (delivery) => void this.#receive(delivery),
      onUnreadable: ({ error }) => panel.log.error({ err: error }, `Cannot decode control message: ${error.message}`),
    };
    this.#consumer = new MailboxConsumer(readBroker, pidboxQueue(panel.hostname, options), consumeOptions, panel.log);
    await this.#consumer.start();
  }

  async close(): Promise<void> {
    await this.#consumer?.close();
  }

  async #receive({ message }: Delivery): Promise<void> {
    const { panel, content } = this.#options;
    try {
      const { clock } = message.headers;
      if (typeof clock === "number") panel.clock.adjust(clock);
      const request = readControlRequest(content.decode(message));
      if (!isAddressed(request, panel.hostname)) return;
      const reply = await this.#dispatch(request);
      if (request.reply_to) await this.#reply(request, reply ?? null);
    } catch (error) {
      panel.log.error({ err: error }, `Cannot handle control message: ${(error as Error).message}`);
    }
  }

  async #dispatch(request: ControlRequest): Promise<unknown> {
    const { panel } = this.#options;
    const command = COMMANDS.get(request.method);
    if (!command) return { error: `KeyError(${stringRepr(request.method)})` };
    try {
      return await command(panel, request.arguments);
    } catch (error) {
      panel.log.error({ err: error }, `Control command ${request.method} failed: ${(error as Error).message}`);
      return { error: `${(error as Error).name}(${stringRepr((error as Error).message)})` };
    }
  }

  async #reply({ reply_to: replyTo, ticket }: ControlRequest, reply: unknown): Promise<void> {
    const { panel, options, content, writeBroker, publishTimeoutMs } = this.#options;
    if (!replyTo) return;
    const broker = await writeBroker();
    await broker.declareExchange({ ...replyExchange(options.namespace), name: replyTo.exchange });
    const message = {
      ...content.encode({ [panel.hostname]: reply }),
      headers: { ticket: ticket ?? null, clock: panel.clock.forward() },
      properties: { delivery_mode: 1, priority: 0 },
    };
    await broker.publish(message, { exchange: replyTo.exchange, routingKey: replyTo.routing_key }, publishTimeoutMs);
  }
}

function isAddressed({ destination, pattern, matcher }: ControlRequest, hostname: string): boolean {
  if (destination && destination.length > 0) return destination.includes(hostname);
  if (!pattern || !matcher) return true;
  return nodeMatcher(pattern, matcher)(hostname);
}
