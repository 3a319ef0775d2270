import type { Channel, ChannelModel } from "amqplib";
import type { Message } from "../../../protocol/message/message.ts";
import { queueWithoutGlobalQos } from "../../../protocol/transport/amqp.ts";
import type { DelayedDelivery } from "../../../protocol/transport/delayed-delivery.ts";
import type { Exchange, Queue, Route } from "../../../protocol/transport/entities.ts";
import { OperationalError } from "../../app/errors.ts";
import type { Broker, BrokerOptions, ConsumeOptions, Consumer } from "../broker.ts";
import { withDeadline } from "../deadline.ts";
import { AmqpConnection } from "./connection.ts";
import { AmqpConsumer } from "./consumer.ts";
import { Declarations } from "./declarations.ts";
import { bindToChain, declareChain } from "./delayed-delivery.ts";
import { AmqpPublisher } from "./publisher.ts";
import { type AmqpAddress, amqpAddresses } from "./url.ts";

/** RabbitMQ, by one connection with a channel for each purpose. Mirrors `kombu/transport/pyamqp.py`. */
export class AmqpBroker implements Broker {
  readonly transport = "amqp";
  onStateChange: Broker["onStateChange"];
  readonly #options: BrokerOptions;
  readonly #addresses: readonly AmqpAddress[];
  readonly #connection: AmqpConnection;
  readonly #declarations: Declarations;
  readonly #publisher: AmqpPublisher;
  readonly #consumers = new Set<AmqpConsumer>();
  /** Declared again after a reconnect, for whoever publishes to them. */
  readonly #queues = new Map<string, Queue>();
  /** The same, once a task was sent for later or a worker serves those that are. */
  #delayed: { chain: DelayedDelivery; queues: Set<Queue> } | undefined;
  #declaredAgain: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** @throws ImproperlyConfigured when a URL or an option cannot be used */
  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#addresses = amqpAddresses(options);
    this.#connection = new AmqpConnection({
      addresses: this.#addresses,
      failoverStrategy: options.failoverStrategy,
      onOpen: (model) => this.#onOpen(model),
      onLost: (error) => this.#onLost(error),
    });
    this.#declarations = new Declarations(this.#connection, options.log);
    this.#publisher = new AmqpPublisher(this.#connection, () => this.#declaredAgain);
  }

  get url(): string {
    return this.#connection.url;
  }

  get connected(): boolean {
    return this.#connection.model !== undefined;
  }

  async connect(signal?: AbortSignal): Promise<void> {
    await this.#connection.whenOpen(this.#timeoutMs * this.#addresses.length + 1_000, signal);
  }

  async declare(queue: Queue): Promise<void> {
    await this.#connection.whenOpen(this.#timeoutMs);
    const declared = this.#declarations.declareQueue(queue);
    await this.#connection.within(declared, this.#timeoutMs, `declaring queue ${queue.name}`);
    if (!queue.exclusive && !queue.autoDelete) this.#queues.set(queue.name, queue);
  }

  async declareExchange(exchange: Exchange): Promise<void> {
    await this.#connection.whenOpen(this.#timeoutMs);
    const declared = this.#declarations.declareExchange(exchange);
    await this.#connection.within(declared, this.#timeoutMs, `declaring exchange ${exchange.name}`);
  }

  async declareDelayedDelivery(chain: DelayedDelivery, queues: readonly Queue[]): Promise<void> {
    await this.#connection.whenOpen(this.#timeoutMs);
    this.#delayed ??= { chain, queues: new Set() };
    for (const queue of queues) this.#delayed.queues.add(queue);
    await this.#connection.within(this.#declareDelayed(queues), this.#timeoutMs, "declaring delayed delivery");
  }

  publish(message: Message, route: Route, timeoutMs: number): Promise<void> {
    return this.#publisher.publish(message, route, timeoutMs);
  }

  /** The broker says when nobody got it, and not how many did. */
  async announce(message: Message, exchange: string, timeoutMs: number): Promise<number | undefined> {
    let receivers: number | undefined;
    await this.#publisher.publish(message, { exchange, routingKey: "" }, timeoutMs, () => {
      receivers = 0;
    });
    return receivers;
  }

  async consume(queues: readonly Queue[], options: ConsumeOptions): Promise<Consumer> {
    await this.#connection.whenOpen(this.#timeoutMs);
    const consumer = new AmqpConsumer(
      {
        connection: this.#connection,
        declarations: this.#declarations,
        log: this.#options.log,
        timeoutMs: this.#timeoutMs,
        onClosed: (closed) => this.#consumers.delete(closed),
      },
      options,
    );
    try {
      await consumer.start(queues);
    } catch (error) {
      void consumer.close();
      throw error;
    }
    this.#consumers.add(consumer);
    return consumer;
  }

  async purge(queue: string): Promise<number> {
    return this.#ifThere(queue, async (channel) => (await channel.purgeQueue(queue)).messageCount);
  }

  async size(queue: string): Promise<number> {
    return this.#ifThere(queue, async (channel) => (await channel.checkQueue(queue)).messageCount);
  }

  async deleteQueue(queue: Queue): Promise<void> {
    this.#declarations.forget(queue.name);
    this.#queues.delete(queue.name);
    await this.#ifThere(queue.name, async (channel) => (await channel.deleteQueue(queue.name)).messageCount);
  }

  async close(timeoutMs = 5_000): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const closing = Promise.all([this.#publisher.close(), ...[...this.#consumers].map((consumer) => consumer.close())]);
    await withDeadline(closing, timeoutMs, "closing").catch(() => undefined);
    await this.#connection.close(timeoutMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #timeoutMs(): number {
    return this.#options.connectionTimeout * 1000;
  }

  /** Zero for a queue that is not there. */
  async #ifThere(queue: string, command: (channel: Channel) => Promise<number>): Promise<number> {
    const what = `asking for queue ${queue}`;
    await this.#connection.whenOpen(this.#timeoutMs);
    try {
      return await this.#connection.within(this.#declarations.run(what, command), this.#timeoutMs, what);
    } catch (error) {
      if ((error as { code?: unknown }).code === 404) return 0;
      if (error instanceof OperationalError) throw error;
      throw new OperationalError(`${what}: ${(error as Error).message}`, { cause: error });
    }
  }

  #onOpen(model: ChannelModel): void {
    this.#declarations.reset(model);
    this.#publisher.reset();
    const queues = [...this.#queues.values()].map((queue) => () => this.#declarations.declareQueue(queue));
    const delayed = (): Promise<void> => this.#declareDelayed([...(this.#delayed?.queues ?? [])]);
    this.#declaredAgain = Promise.all([...queues, delayed].map((declare) => this.#declareAgain(model, declare)));
    for (const consumer of this.#consumers) consumer.resume();
    this.onStateChange?.(true);
  }

  /** A broker that took over may not have the queue, and drops what is published to it. */
  async #declareAgain(model: ChannelModel, declare: () => Promise<void>): Promise<void> {
    try {
      await declare();
    } catch (error) {
      if (this.#connection.model === model) this.#options.log.error({ err: error }, (error as Error).message);
    }
  }

  async #declareDelayed(queues: readonly Queue[]): Promise<void> {
    if (!this.#delayed) return;
    await declareChain(this.#declarations, this.#delayed.chain);
    for (const queue of queues) await bindToChain(this.#declarations, queue);
  }

  #onLost(error: Error): void {
    const quorum = queueWithoutGlobalQos(error.message);
    if (quorum !== undefined) this.#declarations.markQuorum(quorum);
    this.#declarations.reset(undefined);
    this.#publisher.reset();
    for (const consumer of this.#consumers) consumer.lost();
    if (!this.#closed) this.onStateChange?.(false, error);
  }
}
