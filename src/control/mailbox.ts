import { randomUUID } from "node:crypto";
import {
  controlRequest,
  type MailboxOptions,
  pidboxExchange,
  replyExchange,
  replyQueue,
} from "../../protocol/control/pidbox.ts";
import { isMapping } from "../../protocol/message/headers.ts";
import type { LamportClock } from "../app/clock.ts";
import type { Broker, Consumer, Delivery } from "../brokers/broker.ts";
import type { ControlContent } from "./content.ts";

/** How a command is sent to the workers. */
export interface BroadcastOptions {
  /** Node names; everyone when left out. */
  destination?: readonly string[];
  /** A pattern for node names, read as `matcher` says: `glob` or `pcre`. */
  pattern?: string;
  matcher?: "glob" | "pcre";
  /** True to collect replies. */
  reply?: boolean;
  /** Seconds to wait for each further reply; 1 unless given. */
  timeout?: number;
  /** Stop after so many replies; as many as there are destinations unless given. */
  limit?: number;
  /** Called with each reply as it comes. */
  onReply?: (reply: Reply) => void;
}

/** Replies as Celery has them: one `{ node: reply }` from each worker. */
export type Reply = Record<string, unknown>;

/** What a mailbox needs of its application. */
export interface MailboxContext {
  broker(): Promise<Broker>;
  clock: LamportClock;
  /** The address that replies come to. */
  oid: string;
  options: MailboxOptions;
  content: ControlContent;
  /** Milliseconds that publishing may take. */
  publishTimeoutMs: number;
}

/** Sends commands to workers and collects what they reply. Mirrors `kombu/pidbox.py Mailbox`. */
export class Mailbox {
  readonly #context: MailboxContext;
  #collecting: Promise<unknown> = Promise.resolve();

  constructor(context: MailboxContext) {
    this.#context = context;
  }

  /**
   * @returns the replies, none unless asked for
   * @throws OperationalError when the command cannot be sent
   */
  async broadcast(method: string, args: Record<string, unknown>, options: BroadcastOptions = {}): Promise<Reply[]> {
    if (!options.reply) {
      await this.#send(method, args, options);
      return [];
    }
    // One at a time: all replies come to one queue, which is made anew for each call as Celery makes it.
    const turn = this.#collecting.then(() => this.#collect(method, args, options));
    this.#collecting = turn.catch(() => undefined);
    return turn;
  }

  async #send(
    method: string,
    args: Record<string, unknown>,
    options: BroadcastOptions,
    reply?: { ticket: string; exchange: string; routingKey: string },
  ): Promise<number | undefined> {
    const { clock, publishTimeoutMs, content, options: mailbox } = this.#context;
    const broker = await this.#broker();
    const exchange = pidboxExchange(mailbox.namespace);
    await broker.declareExchange(exchange);
    const { destination = null, pattern = null, matcher = null, timeout = 1 } = options;
    const request = controlRequest(method, args, { destination, pattern, matcher, ...(reply && { reply }) });
    const message = {
      ...content.encode(request),
      headers: { clock: clock.forward(), expires: timeout ? Date.now() / 1000 + timeout : 0 },
      properties: { delivery_mode: 2, priority: 0 },
    };
    if (broker.announce) return broker.announce(message, exchange.name, publishTimeoutMs);
    await broker.publish(message, { exchange: exchange.name, routingKey: "" }, publishTimeoutMs);
    return undefined;
  }

  async #collect(method: string, args: Record<string, unknown>, options: BroadcastOptions): Promise<Reply[]> {
    const { oid, options: mailbox } = this.#context;
    const ticket = randomUUID();
    let limit = options.limit ?? options.destination?.length ?? Number.POSITIVE_INFINITY;
    const replies: Reply[] = [];
    const broker = await this.#broker();
    const queue = replyQueue(oid, mailbox);
    let consumer: Consumer | undefined;
    let onReply = (): void => {};
    try {
      consumer = await broker.consume([queue], {
        prefetch: 0,
        noAck: true,
        onDelivery: (delivery) => {
          const reply = this.#read(delivery, ticket);
          if (!reply) return;
          replies.push(reply);
          options.onReply?.(reply);
          onReply();
        },
        onUnreadable: () => {},
      });
      const exchange = replyExchange(mailbox.namespace).name;
      const receivers = await this.#send(method, args, options, { ticket, exchange, routingKey: oid });
      // Nobody replies who did not get it.
      limit = Math.min(limit, receivers ?? Number.POSITIVE_INFINITY);
      await quiet(
        (options.timeout ?? 1) * 1000,
        () => replies.length >= limit,
        (listener) => {
          onReply = listener;
        },
      );
      return replies;
    } finally {
      await consumer?.close();
      await broker.deleteQueue(queue).catch(() => undefined);
    }
  }

  /** A reply to this ticket; replies to an older one come too late. */
  #read({ message }: Delivery, ticket: string): Reply | undefined {
    const { clock } = message.headers;
    if (typeof clock === "number") this.#context.clock.adjust(clock);
    if (message.headers.ticket !== undefined && message.headers.ticket !== ticket) return undefined;
    try {
      const body = this.#context.content.decode(message);
      return isMapping(body) ? body : undefined;
    } catch {
      return undefined;
    }
  }

  async #broker(): Promise<Broker> {
    const broker = await this.#context.broker();
    if (!broker.connected) await broker.connect();
    return broker;
  }
}

/** Resolves when enough has come, or nothing for so long. */
function quiet(timeoutMs: number, isEnough: () => boolean, listen: (listener: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    let timer = setTimeout(resolve, timeoutMs);
    listen(() => {
      clearTimeout(timer);
      if (isEnough()) resolve();
      else timer = setTimeout(resolve, timeoutMs);
    });
    if (isEnough()) {
      clearTimeout(timer);
      resolve();
    }
  });
}
