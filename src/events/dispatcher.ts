import {
  type CeleryEvent,
  EVENT_BUFFER_LIMIT,
  eventGroup,
  eventRoutingKey,
  utcoffset,
} from "../../protocol/event/event.ts";
import type { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import { exchange } from "../../protocol/transport/entities.ts";
import type { LamportClock } from "../app/clock.ts";
import type { Broker } from "../brokers/broker.ts";
import type { Logger } from "../logger.ts";

/** How many events are kept while the broker is away; older ones are dropped. */
const OFFLINE_LIMIT = 10_000;

/** What a dispatcher is made with. */
export interface DispatcherOptions {
  broker(): Promise<Broker>;
  clock: LamportClock;
  serializers: SerializerRegistry;
  /** The node that the events are of. */
  hostname: string;
  /** `eventExchange` and `eventSerializer`. */
  exchange: string;
  serializer: string;
  /** True to write `utcoffset` as Celery before 5.7 does: whole hours, an int. */
  wholeUtcoffset: boolean;
  /** Groups whose events are sent together, once in each turn of the event loop: `task` in a worker. */
  bufferGroups?: readonly string[];
  publishTimeoutMs: number;
  log: Logger;
}

/** Sends events about tasks and workers to monitors. Mirrors `celery/events/dispatcher.py EventDispatcher`. */
export class EventDispatcher {
  readonly #options: DispatcherOptions;
  readonly #buffered = new Map<string, CeleryEvent[]>();
  /** Groups whose events are sent; null for all. */
  readonly groups: Set<string> | null = null;
  #flushing: Promise<void> = Promise.resolve();
  #scheduled = false;
  enabled = true;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Sends an event. Never throws: what cannot be sent now is kept for later, up to a limit. */
  send(type: string, fields: Record<string, unknown> = {}): void {
    if (!this.enabled) return;
    const group = eventGroup(type);
    const event = this.#event(type, fields);
    if (this.#options.bufferGroups?.includes(group)) this.#buffer(group, event);
    else this.#flushing = this.#flushing.then(() => this.#trySend(event, eventRoutingKey(type))).then(() => undefined);
  }

  /** Sends an event at once. @throws OperationalError */
  async publish(type: string, fields: Record<string, unknown>): Promise<void> {
    await this.#publish(this.#event(type, fields), eventRoutingKey(type));
  }

  /** Resolves when everything so far was sent or given up. */
  async flush(): Promise<void> {
    this.#sendBuffered();
    await this.#flushing;
  }

  #event(type: string, fields: Record<string, unknown>): CeleryEvent {
    return {
      hostname: this.#options.hostname,
      utcoffset: utcoffset(new Date().getTimezoneOffset(), this.#options.wholeUtcoffset),
      pid: process.pid,
      clock: this.#options.clock.forward(),
      ...fields,
      timestamp: Date.now() / 1000,
      type,
    };
  }

  #buffer(group: string, event: CeleryEvent): void {
    const events = this.#buffered.get(group) ?? [];
    this.#buffered.set(group, events);
    events.push(event);
    if (events.length > OFFLINE_LIMIT) events.shift();
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#sendBuffered();
    });
  }

  #sendBuffered(): void {
    this.#flushing = this.#flushing.then(async () => {
      for (const [group, events] of this.#buffered) {
        while (events.length > 0) {
          const batch = events.slice(0, EVENT_BUFFER_LIMIT);
          if (!(await this.#trySend(batch, `${group}.multi`))) return;
          events.splice(0, batch.length);
        }
      }
    });
  }

  async #trySend(event: CeleryEvent | CeleryEvent[], routingKey: string): Promise<boolean> {
    try {
      await this.#publish(event, routingKey);
      return true;
    } catch (error) {
      this.#options.log.debug({ err: error }, `Could not send event ${routingKey}`);
      return false;
    }
  }

  async #publish(event: CeleryEvent | CeleryEvent[], routingKey: string): Promise<void> {
    const { serializers, serializer, exchange: name, hostname, publishTimeoutMs } = this.#options;
    const broker = await this.#options.broker();
    // Redis has no topics that monitors could subscribe to: there the exchange is a fanout with patterns.
    const type = broker.transport === "redis" ? "fanout" : "topic";
    await broker.declareExchange(exchange(name, { type }));
    const encoded = serializers.encode(event, serializer);
    const message = { ...encoded, headers: { hostname }, properties: { delivery_mode: 1, priority: 0 } };
    await broker.publish(message, { exchange: name, routingKey }, publishTimeoutMs);
  }
}
