import { randomUUID } from "node:crypto";
import { type CeleryEvent, type EventQueueOptions, eventExchange, eventQueue } from "../../protocol/event/event.ts";
import { isMapping } from "../../protocol/message/headers.ts";
import type { Message } from "../../protocol/message/message.ts";
import type { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import type { LamportClock } from "../app/clock.ts";
import type { Settings } from "../app/settings.ts";
import type { Broker, Consumer } from "../brokers/broker.ts";
import type { Logger } from "../logger.ts";

/** Clients never sync their clocks: what they send is put a little before what is here. */
const CLIENT_CLOCK_SKEW = -1;

/** What is done with events, by type; `*` takes those that have no other. */
export type EventHandlers = Readonly<Record<string, (event: CeleryEvent) => void>>;

/** How a receiver listens. */
export interface ReceiverOptions {
  handlers: EventHandlers;
  /** A pattern: `#` for all events unless given, `worker.#` for those about workers. */
  routingKey?: string;
  /** Its queue's own part of the name; a random one unless given. */
  nodeId?: string;
  /** False to leave workers alone at the start; else they are asked for a heartbeat. */
  wakeup?: boolean;
  /** Seconds that an event waits at the most: `eventQueueTtl`. */
  queueTtl?: number;
}

/** What a receiver needs of its application. */
export interface ReceiverContext {
  broker(): Promise<Broker>;
  settings: Settings;
  serializers: SerializerRegistry;
  clock: LamportClock;
  log: Logger;
  /** Asks all workers for a heartbeat. */
  wakeupWorkers(): Promise<unknown>;
}

/** Receives the events of workers and clients, in whatever language. Mirrors `celery/events/receiver.py`. */
export class EventReceiver implements AsyncDisposable {
  readonly #context: ReceiverContext;
  readonly #options: ReceiverOptions;
  #consumer: Consumer | undefined;
  #accept: ReadonlySet<string> | undefined;

  constructor(context: ReceiverContext, options: ReceiverOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** Starts to listen; after a loss of the connection it goes on by itself. @throws OperationalError */
  async start(): Promise<void> {
    const { settings } = this.#context;
    const { routingKey = "#", nodeId = randomUUID(), wakeup = true, queueTtl = settings.eventQueueTtl } = this.#options;
    const broker = await this.#context.broker();
    if (!broker.connected) await broker.connect();
    const options: EventQueueOptions = {
      prefix: settings.eventQueuePrefix,
      ttl: queueTtl,
      expires: settings.eventQueueExpires,
      exclusive: settings.eventQueueExclusive,
      durable: settings.eventQueueDurable,
    };
    const exchange = eventExchange(settings.eventExchange, broker.transport);
    this.#consumer = await broker.consume([eventQueue(nodeId, exchange, routingKey, options)], {
      prefetch: 0,
      noAck: true,
      onDelivery: ({ message }) => this.#receive(message),
      onUnreadable: ({ error }) => this.#context.log.warn({ err: error }, "Received what is no event"),
    });
    if (wakeup) await this.#context.wakeupWorkers();
  }

  async close(): Promise<void> {
    await this.#consumer?.close();
    this.#consumer = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #receive(message: Message): void {
    const { serializers, settings, log } = this.#context;
    try {
      this.#accept ??= serializers.accept([settings.eventSerializer, "json"]);
      const body = serializers.decode(message, this.#accept);
      for (const event of Array.isArray(body) ? body : [body]) this.#process(event);
    } catch (error) {
      log.warn({ err: error }, `Cannot read an event: ${(error as Error).message}`);
    }
  }

  #process(body: unknown): void {
    if (!isMapping(body) || typeof body.type !== "string") return;
    const event = this.#received(body as CeleryEvent);
    const handler = this.#options.handlers[event.type] ?? this.#options.handlers["*"];
    handler?.(event);
  }

  #received(event: CeleryEvent): CeleryEvent {
    const { clock } = this.#context;
    if (event.type === "task-sent") {
      const now = (clock.value || 1) + CLIENT_CLOCK_SKEW;
      clock.adjust(now);
      return { ...event, clock: now, local_received: Date.now() / 1000 };
    }
    const own = typeof event.clock === "number" ? event.clock : clock.forward();
    clock.adjust(own);
    return { ...event, clock: own, local_received: Date.now() / 1000 };
  }
}
