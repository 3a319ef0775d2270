import type { Message } from "../../../protocol/message/message.ts";
import type { Queue } from "../../../protocol/transport/entities.ts";
import type { ConsumeOptions, Consumer, Delivery } from "../broker.ts";
import type { Listener, MemoryHub, Waiting } from "./hub.ts";

/** Takes messages from a hub's queues, one of each in turn, no more than its prefetch allows. */
export class MemoryConsumer implements Consumer, Listener {
  readonly #hub: MemoryHub;
  readonly #options: ConsumeOptions;
  readonly #onClosed: (consumer: MemoryConsumer) => void;
  readonly #queues = new Map<string, Queue>();
  readonly #held = new Set<MemoryDelivery>();
  #prefetch: number;
  #cancelled = false;
  #scheduled = false;

  constructor(hub: MemoryHub, options: ConsumeOptions, onClosed: (consumer: MemoryConsumer) => void) {
    this.#hub = hub;
    this.#options = options;
    this.#onClosed = onClosed;
    this.#prefetch = options.prefetch;
  }

  get queues(): string[] {
    return [...this.#queues.keys()];
  }

  get unsettled(): number {
    return this.#held.size;
  }

  /** Looks in a turn of its own: who publishes does not wait for who consumes. */
  wake(): void {
    if (this.#scheduled || this.#cancelled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#take();
    });
  }

  async addQueue(queue: Queue): Promise<void> {
    this.#hub.declare(queue);
    this.#queues.set(queue.name, queue);
    this.#hub.listen(queue.name, this);
    this.wake();
  }

  async cancelQueue(name: string): Promise<void> {
    const queue = this.#queues.get(name);
    this.#queues.delete(name);
    this.#hub.leave(name, this);
    if (queue?.autoDelete) this.#hub.delete(name);
  }

  setPrefetch(prefetch: number): void {
    this.#prefetch = prefetch;
    this.wake();
  }

  async cancel(): Promise<void> {
    this.#cancelled = true;
    for (const name of this.#queues.keys()) this.#hub.leave(name, this);
  }

  async close(): Promise<void> {
    await this.cancel();
    for (const delivery of [...this.#held].reverse()) delivery.handBack();
    this.#held.clear();
    for (const queue of this.#queues.values()) if (queue.autoDelete) this.#hub.delete(queue.name);
    this.#onClosed(this);
  }

  #take(): void {
    for (let taken = true; taken; ) {
      taken = false;
      for (const queue of this.#queues.keys()) {
        if (this.#cancelled || (this.#prefetch > 0 && this.#held.size >= this.#prefetch)) return;
        const waiting = this.#hub.take(queue);
        if (!waiting) continue;
        taken = true;
        this.#deliver(queue, waiting);
      }
    }
  }

  #deliver(queue: string, waiting: Waiting): void {
    const delivery = new MemoryDelivery(queue, waiting, this.#hub, (settled) => {
      const held = this.#held.delete(settled);
      if (held) this.wake();
      return held;
    });
    if (!this.#options.noAck) this.#held.add(delivery);
    this.#options.onDelivery(delivery);
  }
}

class MemoryDelivery implements Delivery {
  readonly message: Message;
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
  readonly returned = false;
  readonly #waiting: Waiting;
  readonly #hub: MemoryHub;
  /** @returns false when it was settled before, or needs no settling */
  readonly #settle: (delivery: MemoryDelivery) => boolean;

  constructor(queue: string, waiting: Waiting, hub: MemoryHub, settle: (delivery: MemoryDelivery) => boolean) {
    this.message = waiting.message;
    this.queue = queue;
    this.exchange = waiting.route.exchange;
    this.routingKey = waiting.route.routingKey;
    this.redelivered = waiting.redelivered;
    this.#waiting = waiting;
    this.#hub = hub;
    this.#settle = settle;
  }

  ack(): void {
    this.#settle(this);
  }

  reject({ requeue }: { requeue: boolean }): void {
    if (this.#settle(this) && requeue) this.#hub.putBack(this.queue, this.#waiting, "last");
  }

  handBack(): void {
    this.#hub.putBack(this.queue, this.#waiting, "first");
  }
}
