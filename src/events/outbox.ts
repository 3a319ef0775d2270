import { type CeleryEvent, EVENT_BUFFER_LIMIT } from "../../protocol/event/event.ts";

/** How many events are kept while the broker is away; the oldest give way. */
const LIMIT = 10_000;

/** What travels together: one event, or several of a group. */
export interface Batch {
  routingKey: string;
  content: CeleryEvent | CeleryEvent[];
}

interface Lot {
  routingKey: string;
  /** True when the events are sent as a list, however few they are. */
  grouped: boolean;
  events: CeleryEvent[];
}

/** Events that wait to be sent, in their order; those of a group that came one after the other travel together. */
export class Outbox {
  #lots: Lot[] = [];
  #size = 0;
  readonly #limit: number;

  constructor(limit = LIMIT) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#size;
  }

  /** @param grouped true for events that are sent as lists: they are collected under this key */
  add(event: CeleryEvent, routingKey: string, grouped: boolean): void {
    const last = this.#lots.at(-1);
    if (grouped && last?.grouped && last.routingKey === routingKey && last.events.length < EVENT_BUFFER_LIMIT) {
      last.events.push(event);
    } else {
      this.#lots.push({ routingKey, grouped, events: [event] });
    }
    this.#size++;
    while (this.#size > this.#limit) this.take();
  }

  /** The next ones to send, or undefined; they are out of here. */
  take(): Batch | undefined {
    const lot = this.#lots.shift();
    if (!lot) return undefined;
    this.#size -= lot.events.length;
    return { routingKey: lot.routingKey, content: lot.grouped ? lot.events : (lot.events[0] as CeleryEvent) };
  }

  /** Puts back what could not be sent, before all others. */
  putBack({ routingKey, content }: Batch): void {
    const events = Array.isArray(content) ? content : [content];
    this.#lots.unshift({ routingKey, grouped: Array.isArray(content), events });
    this.#size += events.length;
  }

  /** Drops all with this key: of heartbeats that could not be sent only the last is worth sending. */
  drop(routingKey: string): void {
    this.#lots = this.#lots.filter((lot) => lot.routingKey !== routingKey);
    this.#size = this.#lots.reduce((sum, { events }) => sum + events.length, 0);
  }
}
