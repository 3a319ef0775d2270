import {
  type ControlRequest,
  type MailboxOptions,
  pidboxQueue,
  readControlRequest,
  replyExchange,
} from "../../protocol/control/pidbox.ts";
import { stringRepr } from "../../protocol/python/repr.ts";
import { exceptionRepr } from "../../protocol/result/exception.ts";
import { pythonException } from "../app/exception.ts";
import type { Broker, ConsumeOptions, Delivery } from "../brokers/broker.ts";
import type { ControlContent } from "./content.ts";
import { MailboxConsumer } from "./mailbox-consumer.ts";
import { nodeMatcher } from "./node-matcher.ts";
import { NO_REPLY, nok, type Panel } from "./panel.ts";
import type { PanelContext } from "./panel-context.ts";

/** What a worker's mailbox is made with. */
export interface PidboxOptions {
  context: PanelContext;
  panel: Panel;
  /** The module of errors that do not say theirs. */
  appName: string;
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
    const { context, options, readBroker } = this.#options;
    const consumeOptions: ConsumeOptions = {
      prefetch: 0,
      noAck: true,
      onDelivery: (delivery) => void this.#receive(delivery),
      onUnreadable: ({ error }) => context.log.error({ err: error }, `Cannot decode control message: ${error.message}`),
    };
    const queue = pidboxQueue(context.hostname, options);
    this.#consumer = new MailboxConsumer(readBroker, queue, consumeOptions, context.log);
    await this.#consumer.start();
  }

  async close(): Promise<void> {
    await this.#consumer?.close();
  }

  async #receive({ message }: Delivery): Promise<void> {
    const { context, content } = this.#options;
    try {
      const { clock } = message.headers;
      if (typeof clock === "number") context.clock.adjust(clock);
      const request = readControlRequest(content.decode(message));
      if (!isAddressed(request, context.hostname)) return;
      const reply = await this.#dispatch(request);
      if (request.reply_to && reply !== NO_REPLY) await this.#reply(request, reply ?? null);
    } catch (error) {
      context.log.error({ err: error }, `Cannot handle control message: ${(error as Error).message}`);
    }
  }

  async #dispatch(request: ControlRequest): Promise<unknown> {
    const { context, panel, appName } = this.#options;
    const command = panel.get(request.method);
    if (!command) return nok(`KeyError(${stringRepr(request.method)})`);
    try {
      return await command.run(context, request.arguments);
    } catch (error) {
      context.log.error({ err: error }, `Control command ${request.method} failed: ${(error as Error).message}`);
      return nok(exceptionRepr(pythonException(error, appName)));
    }
  }

  async #reply({ reply_to: replyTo, ticket }: ControlRequest, reply: unknown): Promise<void> {
    const { context, options, content, writeBroker, publishTimeoutMs } = this.#options;
    if (!replyTo) return;
    const broker = await writeBroker();
    await broker.declareExchange({ ...replyExchange(options.namespace), name: replyTo.exchange });
    const message = {
      ...content.encode({ [context.hostname]: reply }),
      headers: { ticket: ticket ?? null, clock: context.clock.forward() },
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
