import { Float } from "../python/numbers.ts";
import { type Exchange, exchange, expiryArguments, type Queue, queue } from "../transport/entities.ts";

/** An event as it is sent: a dict whose only fixed part is its type. Mirrors `celery/events/event.py Event`. */
export interface CeleryEvent {
  type: string;
  /** Seconds since the epoch. */
  timestamp: number;
  hostname: string;
  /** Hours west of Greenwich. */
  utcoffset: unknown;
  pid: number;
  /** The Lamport clock; null for an event outside of it. */
  clock: number | null;
  [field: string]: unknown;
}

/** The routing key of an event: `task-sent` goes by `task.sent`. */
export function eventRoutingKey(type: string): string {
  return type.replaceAll("-", ".");
}

/** The group of an event, `task` of `task-sent`; a worker sends those of a group together as `<group>.multi`. */
export function eventGroup(type: string): string {
  return type.split("-", 1)[0] as string;
}

/** How many events of one group a worker holds back at the most. */
export const EVENT_BUFFER_LIMIT = 24;

/**
 * The exchange that events are sent to. Redis has no topics that monitors could subscribe to: there it is a fanout
 * with patterns. Mirrors `celery/events/event.py get_exchange`.
 *
 * @param name `eventExchange`
 * @param transport kombu's `driver_type`
 */
export function eventExchange(name: string, transport: string): Exchange {
  return exchange(name, { type: transport === "redis" ? "fanout" : "topic" });
}

/** What `eventQueue…` settings say about a monitor's queue. */
export interface EventQueueOptions {
  /** `eventQueuePrefix`. */
  prefix: string;
  /** Seconds that an event waits at the most. */
  ttl: number | null;
  /** Seconds after which the queue of a monitor that is gone goes as well. */
  expires: number | null;
  exclusive: boolean;
  durable: boolean;
}

/**
 * The queue on which a monitor gets events. Mirrors `celery/events/receiver.py EventReceiver`.
 * @param routingKey a pattern: `#` for all, `worker.#` for those about workers
 */
export function eventQueue(nodeId: string, bound: Exchange, routingKey: string, options: EventQueueOptions): Queue {
  return queue(`${options.prefix}.${nodeId}`, {
    exchange: bound,
    routingKey,
    durable: options.durable,
    exclusive: options.exclusive,
    autoDelete: !options.durable,
    arguments: expiryArguments(options.expires, options.ttl),
  });
}

/**
 * The field `utcoffset`. Mirrors `celery/utils/time.py utcoffset`, which cuts to whole hours up to 5.6.
 * @param minutes west of Greenwich
 */
export function utcoffset(minutes: number, whole: boolean): number | Float {
  return whole ? Math.floor(minutes / 60) : new Float(minutes / 60);
}
