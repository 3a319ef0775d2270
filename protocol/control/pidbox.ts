import { InvalidTaskError } from "../errors.ts";
import { isMapping } from "../message/headers.ts";
import { type Exchange, exchange, expiryArguments, type Queue, queue } from "../transport/entities.ts";

/** A remote control command on its way to the workers. Mirrors `kombu/pidbox.py Mailbox._publish`. */
export interface ControlRequest {
  method: string;
  arguments: Record<string, unknown>;
  /** Node names; null for everyone. */
  destination: string[] | null;
  pattern: string | null;
  matcher: string | null;
  ticket?: string;
  reply_to?: { exchange: string; routing_key: string };
}

/** What `controlQueue…` and `eventQueue…` settings say about a mailbox's queues. */
export interface MailboxOptions {
  /** `controlExchange`, the namespace: `celery`. */
  namespace: string;
  /** Seconds. */
  queueTtl: number | null;
  /** Seconds. */
  queueExpires: number | null;
  durable: boolean;
  exclusive: boolean;
}

/** The fanout exchange that every worker's mailbox is bound to. */
export function pidboxExchange(namespace: string): Exchange {
  return exchange(`${namespace}.pidbox`, { type: "fanout", durable: false, deliveryMode: 1 });
}

/** The direct exchange that replies go to. */
export function replyExchange(namespace: string): Exchange {
  return exchange(`reply.${namespace}.pidbox`, { durable: false, deliveryMode: 1 });
}

/** A worker's mailbox. */
export function pidboxQueue(hostname: string, options: MailboxOptions): Queue {
  return mailboxQueue(`${hostname}.${options.namespace}.pidbox`, pidboxExchange(options.namespace), "", options);
}

/** The queue that replies to one caller arrive on. */
export function replyQueue(oid: string, options: MailboxOptions): Queue {
  return mailboxQueue(`${oid}.reply.${options.namespace}.pidbox`, replyExchange(options.namespace), oid, options);
}

function mailboxQueue(name: string, bound: Exchange, routingKey: string, options: MailboxOptions): Queue {
  return queue(name, {
    exchange: bound,
    routingKey,
    durable: options.durable,
    exclusive: options.exclusive,
    autoDelete: !options.durable,
    arguments: expiryArguments(options.queueExpires, options.queueTtl),
  });
}

/** The body of a request, its keys in Celery's order. */
export function controlRequest(
  method: string,
  args: Record<string, unknown>,
  options: {
    destination?: readonly string[] | null;
    pattern?: string | null;
    matcher?: string | null;
    reply?: { ticket: string; exchange: string; routingKey: string };
  } = {},
): ControlRequest {
  return {
    method,
    arguments: args,
    destination: options.destination ? [...options.destination] : null,
    pattern: options.pattern ?? null,
    matcher: options.matcher ?? null,
    ...(options.reply && {
      ticket: options.reply.ticket,
      reply_to: { exchange: options.reply.exchange, routing_key: options.reply.routingKey },
    }),
  };
}

/**
 * Reads a request.
 * @throws InvalidTaskError when it is not one
 */
export function readControlRequest(body: unknown): ControlRequest {
  if (!isMapping(body) || typeof body.method !== "string") {
    throw new InvalidTaskError("a control message must name its method");
  }
  const { reply_to: replyTo, ticket } = body;
  const reply = isMapping(replyTo) && typeof replyTo.exchange === "string" && typeof replyTo.routing_key === "string";
  return {
    method: body.method,
    arguments: isMapping(body.arguments) ? body.arguments : {},
    destination: Array.isArray(body.destination) ? body.destination.filter((name) => typeof name === "string") : null,
    pattern: typeof body.pattern === "string" ? body.pattern : null,
    matcher: typeof body.matcher === "string" ? body.matcher : null,
    ...(typeof ticket === "string" && { ticket }),
    ...(reply && { reply_to: replyTo as { exchange: string; routing_key: string } }),
  };
}
