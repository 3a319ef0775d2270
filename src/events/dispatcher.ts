import { type CeleryEvent, eventExchange, eventGroup, eventRoutingKey, utcoffset } from "../../protocol/event/event.ts";
import type { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import type { LamportClock } from "../app/clock.ts";
import { OperationalError } from "../app/errors.ts";
import type { Broker } from "../brokers/broker.ts";
import type { Logger } from "../logger.ts";
import { type Batch, Outbox } from "./outbox.ts";

/** How long it waits before it sends again what could not be sent, in milliseconds. */
const PAUSE_MS = 1000;

const HEARTBEAT_KEY = eventRoutingKey("worker-heartbeat");

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
  /** The only groups whose events are sent; all of them when left out. */
  groups?: readonly string[];
  publishTimeoutMs: number;
  log: Logger;
}

/**
 * Sends events about tasks and workers to monitors. While the broker is away they are kept, up to a number, and sent
 * when it is back. Mirrors `celery/events/dispatcher.py EventDispatcher`.
 */
export class EventDispatcher {
  readonly #options: DispatcherOptions;
  readonly #outbox = new Outbox();
  #groups: Set<string> | null;
  #sending: Promise<void> = Promise.resolve();
  #isSending = false;
  #flushing = false;
  #wake: (() => void) | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#groups = options.groups ? new Set(options.groups) : null;
  }

  /** Whether events of a group are sent. */
  sends(group: string): boolean {
    return this.#groups === null || this.#groups.has(group);
  }

  /** Has the events of a group sent from now on, and says whether they were not before. */
  enable(group: string): boolean {
    if (this.sends(group)) return false;
    this.#groups?.add(group);
    return true;
  }

  /** Has the events of a group sent no more, and says whether they were. */
  disable(group: string): boolean {
    if (!this.sends(group)) return false;
    this.#groups ??= new Set(["worker", "task"]);
    this.#groups.delete(group);
    return true;
  }

  /** Sends an event, if its group is sent. Never throws. */
  send(type: string, fields: Record<string, unknown> = {}): void {
    const group = eventGroup(type);
    if (!this.sends(group)) return;
    const key = eventRoutingKey(type);
    const event = this.#event(type, fields);
    const grouped = this.#options.bufferGroups?.includes(group) ?? false;
    if (key === HEARTBEAT_KEY) this.#outbox.drop(key);
    this.#outbox.add(event, grouped ? `${group}.multi` : key, grouped);
    this.#start();
  }

  /** Sends an event at once. @throws OperationalError */
  async publish(type: string, fields: Record<string, unknown>): Promise<void> {
    await this.#publish({ content: this.#event(type, fields), routingKey: eventRoutingKey(type) });
  }

  /** Sends what waits, as far as the broker takes it now. */
  async flush(): Promise<void> {
    this.#flushing = true;
    this.#wake?.();
    await this.#sending;
    this.#flushing = false;
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

  #start(): void {
    if (this.#isSending) return;
    this.#isSending = true;
    // Not at once: events of one turn of the event loop travel together.
    this.#sending = new Promise((resolve) => {
      setImmediate(() => {
        void this.#sendAll().then(resolve);
      });
    });
  }

  async #sendAll(): Promise<void> {
    for (let batch = this.#outbox.take(); batch; batch = this.#outbox.take()) {
      try {
        await this.#publish(batch);
      } catch (error) {
        this.#options.log.debug({ err: error }, `Could not send event ${batch.routingKey}`);
        // What cannot be written now never can.
        if (!(error instanceof OperationalError)) continue;
        this.#outbox.putBack(batch);
        if (this.#flushing) break;
        await this.#pause();
      }
    }
    this.#isSending = false;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, PAUSE_MS);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #publish({ content, routingKey }: Batch): Promise<void> {
    const { serializers, serializer, exchange: name, hostname, publishTimeoutMs } = this.#options;
    const broker = await this.#options.broker();
    await broker.declareExchange(eventExchange(name, broker.transport));
    const encoded = serializers.encode(content, serializer);
    const message = { ...encoded, headers: { hostname }, properties: { delivery_mode: 1, priority: 0 } };
    await broker.publish(message, { exchange: name, routingKey }, publishTimeoutMs);
  }
}
