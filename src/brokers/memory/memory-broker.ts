import type { Message } from "../../../protocol/message/message.ts";
import type { Exchange, Queue, Route } from "../../../protocol/transport/entities.ts";
import { OperationalError } from "../../app/errors.ts";
import type { Broker, BrokerOptions, ConsumeOptions, Consumer } from "../broker.ts";
import { MemoryConsumer } from "./consumer.ts";
import { hubOf, type MemoryHub } from "./hub.ts";

/** Queues in this process, for tests and for what needs no other. Mirrors `kombu/transport/memory.py`. */
export class MemoryBroker implements Broker {
  readonly transport = "memory";
  readonly url: string;
  onStateChange: Broker["onStateChange"];
  readonly #hub: MemoryHub;
  readonly #consumers = new Set<MemoryConsumer>();
  #closed = false;

  constructor(options: BrokerOptions) {
    this.url = options.urls[0] ?? "memory://";
    this.#hub = hubOf(this.url);
  }

  get connected(): boolean {
    return !this.#closed;
  }

  async connect(): Promise<void> {
    if (this.#closed) throw new OperationalError(`the connection to ${this.url} is closed`);
  }

  async declareExchange(exchange: Exchange): Promise<void> {
    this.#hub.declareExchange(exchange);
  }

  async declare(queue: Queue): Promise<void> {
    this.#hub.declare(queue);
  }

  async publish(message: Message, route: Route): Promise<void> {
    await this.connect();
    this.#hub.publish(message, route);
  }

  async consume(queues: readonly Queue[], options: ConsumeOptions): Promise<Consumer> {
    await this.connect();
    const consumer = new MemoryConsumer(this.#hub, options, (closed) => this.#consumers.delete(closed));
    for (const queue of queues) await consumer.addQueue(queue);
    this.#consumers.add(consumer);
    return consumer;
  }

  async purge(queue: string): Promise<number> {
    return this.#hub.purge(queue);
  }

  async size(queue: string): Promise<number> {
    return this.#hub.size(queue);
  }

  async deleteQueue(queue: Queue): Promise<void> {
    this.#hub.delete(queue.name);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
