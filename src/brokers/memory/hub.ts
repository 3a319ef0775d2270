import type { Message } from "../../../protocol/message/message.ts";
import type { Exchange, Queue, Route } from "../../../protocol/transport/entities.ts";
import { type Binding, lookup } from "../../../protocol/transport/virtual.ts";

/** A message in a queue. */
export interface Waiting {
  readonly message: Message;
  readonly route: Route;
  readonly redelivered: boolean;
}

/** What is told when something comes. */
export interface Listener {
  wake(): void;
}

/** Exchanges, queues and messages of one URL, shared by all of a process that use it. */
export class MemoryHub {
  readonly #exchanges = new Map<string, Exchange>();
  readonly #tables = new Map<string, Binding[]>();
  readonly #queues = new Map<string, Waiting[]>();
  readonly #listeners = new Map<string, Set<Listener>>();

  declareExchange(exchange: Exchange): void {
    this.#exchanges.set(exchange.name, exchange);
  }

  declare(queue: Queue): void {
    this.#waiting(queue.name);
    const bindings = [{ exchange: queue.exchange, routingKey: queue.routingKey }, ...(queue.bindings ?? [])];
    for (const { exchange, routingKey } of bindings) {
      this.declareExchange(exchange);
      const table = this.#tables.get(exchange.name) ?? [];
      if (table.some((binding) => binding.queue === queue.name && binding.routingKey === routingKey)) continue;
      this.#tables.set(exchange.name, [...table, { routingKey, pattern: "", queue: queue.name }]);
    }
  }

  /** Puts a message into every queue that it reaches. */
  publish(message: Message, route: Route): void {
    const { exchange, routingKey } = route;
    const type = this.#exchanges.get(exchange)?.type ?? "direct";
    const queues = exchange === "" ? [routingKey] : lookup(this.#tables.get(exchange) ?? [], type, routingKey);
    for (const queue of queues) {
      this.#waiting(queue).push({ message, route, redelivered: false });
      this.#tell(queue);
    }
  }

  /** The next message of a queue. */
  take(queue: string): Waiting | undefined {
    return this.#queues.get(queue)?.shift();
  }

  putBack(queue: string, { message, route }: Waiting, where: "first" | "last"): void {
    const waiting = this.#waiting(queue);
    const again = { message, route, redelivered: true };
    if (where === "first") waiting.unshift(again);
    else waiting.push(again);
    this.#tell(queue);
  }

  size(queue: string): number {
    return this.#queues.get(queue)?.length ?? 0;
  }

  purge(queue: string): number {
    return this.#queues.get(queue)?.splice(0).length ?? 0;
  }

  delete(queue: string): void {
    this.#queues.delete(queue);
    for (const [exchange, table] of this.#tables) {
      this.#tables.set(
        exchange,
        table.filter((binding) => binding.queue !== queue),
      );
    }
  }

  listen(queue: string, listener: Listener): void {
    const listeners = this.#listeners.get(queue) ?? new Set();
    this.#listeners.set(queue, listeners.add(listener));
  }

  leave(queue: string, listener: Listener): void {
    this.#listeners.get(queue)?.delete(listener);
  }

  #waiting(queue: string): Waiting[] {
    const waiting = this.#queues.get(queue) ?? [];
    this.#queues.set(queue, waiting);
    return waiting;
  }

  #tell(queue: string): void {
    for (const listener of this.#listeners.get(queue) ?? []) listener.wake();
  }
}

type Holder = { [KEY]?: Map<string, MemoryHub> };
const KEY = Symbol.for("celeriac.memory-hubs");

/** The hub of a URL: applications of one process meet there, whichever copy of this package they use. */
export function hubOf(url: string): MemoryHub {
  const holder = globalThis as Holder;
  holder[KEY] ??= new Map();
  const hub = holder[KEY].get(url) ?? new MemoryHub();
  holder[KEY].set(url, hub);
  return hub;
}
