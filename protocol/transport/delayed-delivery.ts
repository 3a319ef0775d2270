import { type Exchange, exchange, isQuorumQueue, type Queue, queue } from "./entities.ts";

/**
 * How RabbitMQ keeps a message until its time: a chain of queues, one a binary digit of the delay in seconds. Each holds
 * what has its digit set for so long and hands it to the next; the last one to an exchange that the queues of tasks are
 * bound behind. Mirrors `kombu/transport/native_delayed_delivery.py`.
 */
const LEVELS = 28;

/** Where every chain ends. */
const DELIVERY = "celery_delayed_delivery";

/** Digits that an earlier delay left at the front of a routing key. */
const EARLIER_DELAY = /^(?:[01]\.){28}/;

/** One exchange fed by another. */
export interface ExchangeBinding {
  readonly source: string;
  readonly destination: string;
  readonly routingKey: string;
}

/** All that is to be declared, in this order: exchanges, queues, bindings. */
export interface DelayedDelivery {
  readonly exchanges: readonly Exchange[];
  readonly queues: readonly Queue[];
  readonly bindings: readonly ExchangeBinding[];
}

/** @param queueType what the chain is made of: `brokerNativeDelayedDeliveryQueueType` */
export function delayedDelivery(queueType: "classic" | "quorum"): DelayedDelivery {
  const levels = Array.from({ length: LEVELS }, (_, level) => LEVELS - 1 - level);
  const digit = (level: number, value: "0" | "1"): string => `${"*.".repeat(LEVELS - 1 - level)}${value}.#`;
  const next = (level: number): string => (level === 0 ? DELIVERY : levelName(level - 1));
  return {
    exchanges: [...levels.map(levelName), DELIVERY].map(topic),
    queues: levels.map((level) =>
      queue(levelName(level), {
        exchange: topic(levelName(level)),
        routingKey: digit(level, "1"),
        arguments: {
          "x-queue-type": queueType,
          "x-overflow": "reject-publish",
          "x-message-ttl": 2 ** level * 1000,
          "x-dead-letter-exchange": next(level),
          ...(queueType === "quorum" && { "x-dead-letter-strategy": "at-least-once" }),
        },
      }),
    ),
    bindings: levels.map((level) => ({
      source: levelName(level),
      destination: next(level),
      routingKey: digit(level, "0"),
    })),
  };
}

/**
 * Where a task of this queue's goes that shall come later; undefined where it cannot: a direct exchange, whose keys know
 * no patterns, or a delay of less than a second.
 *
 * @param seconds until its time; the worker keeps it for what is left of the last second, and of more than 8.5 years
 */
export function delayedRoute(
  seconds: number,
  exchangeType: Exchange["type"],
  routingKey: string,
): { exchange: string; routingKey: string } | undefined {
  const whole = Math.min(Math.trunc(seconds), 2 ** LEVELS - 1);
  if (exchangeType === "direct" || !(whole >= 1)) return undefined;
  const digits = whole.toString(2).padStart(LEVELS, "0");
  return {
    exchange: levelName(LEVELS - 1),
    routingKey: `${[...digits].join(".")}.${routingKey.replace(EARLIER_DELAY, "")}`,
  };
}

/** How a queue gets what was delayed: its exchange behind the chain's end, and itself by the longer key. */
export function deliveryBindings({ exchange: { name: exchangeName, type }, routingKey }: Queue): {
  exchange: ExchangeBinding;
  queue: { exchange: string; routingKey: string };
} | null {
  if (exchangeName === "" || type === "direct") return null;
  const longer = routingKey.startsWith("#") ? routingKey : `#.${routingKey}`;
  return {
    exchange: { source: DELIVERY, destination: exchangeName, routingKey: longer },
    queue: { exchange: exchangeName, routingKey: longer },
  };
}

/** Mirrors `celery/utils/quorum_queues.py`: one quorum queue among those of the settings turns it on for all. */
export function hasQuorumQueue(queues: readonly Queue[]): boolean {
  return queues.some(isQuorumQueue);
}

function levelName(level: number): string {
  return `celery_delayed_${level}`;
}

function topic(name: string): Exchange {
  return exchange(name, { type: "topic" });
}
