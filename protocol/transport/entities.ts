/** An exchange as it is declared. Mirrors `kombu/entity.py Exchange`. */
export interface Exchange {
  /** The empty name is the default exchange, which delivers to the queue that the routing key names. */
  readonly name: string;
  readonly type: "direct" | "topic" | "fanout";
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly arguments?: Readonly<Record<string, unknown>>;
  /** 1 transient, 2 persistent; what messages sent to it have unless they say otherwise. */
  readonly deliveryMode?: 1 | 2;
}

/** A queue as it is declared, with its binding. Mirrors `kombu/entity.py Queue`. */
export interface Queue {
  readonly name: string;
  readonly exchange: Exchange;
  /** The key it is bound by; a pattern on a topic exchange. */
  readonly routingKey: string;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  /** Under the broker's names: `x-max-priority`, `x-queue-type`, `x-expires` and `x-message-ttl` in milliseconds. */
  readonly arguments: Readonly<Record<string, unknown>>;
  /** Bindings besides the first one, for a queue that several keys lead to. */
  readonly bindings?: readonly { exchange: Exchange; routingKey: string }[];
  /** True for a queue that somebody else declares. */
  readonly noDeclare?: boolean;
}

/** Where a message goes. */
export interface Route {
  /** An exchange's name; empty for the default exchange. */
  readonly exchange: string;
  readonly routingKey: string;
}

/** An exchange with kombu's defaults: direct, durable. */
export function exchange(name: string, options: Partial<Omit<Exchange, "name">> = {}): Exchange {
  return { name, type: "direct", durable: true, autoDelete: false, ...options };
}

/** A queue with kombu's defaults: durable, bound to a direct exchange of its own name by its own name. */
export function queue(name: string, options: Partial<Omit<Queue, "name">> = {}): Queue {
  return {
    name,
    exchange: exchange(name),
    routingKey: name,
    durable: true,
    exclusive: false,
    autoDelete: false,
    arguments: {},
    ...options,
  };
}

/**
 * The arguments by which a queue goes when nobody uses it, and its messages when nobody takes them. Mirrors
 * `kombu/entity.py Queue` with `expires` and `message_ttl`.
 *
 * @param expires seconds; null for never, as for the next
 * @param messageTtl seconds
 */
export function expiryArguments(expires: number | null, messageTtl: number | null): Record<string, number> {
  return {
    ...(expires !== null && { "x-expires": Math.trunc(expires * 1000) }),
    ...(messageTtl !== null && { "x-message-ttl": Math.trunc(messageTtl * 1000) }),
  };
}

/** True for a queue that only consumers with a credit of their own may read: RabbitMQ's quorum queues. */
export function isQuorumQueue(queue: Queue): boolean {
  return queue.arguments["x-queue-type"] === "quorum";
}
