import type { Channel, ChannelModel, ConsumeMessage } from "amqplib";
import { queueWithoutGlobalQos } from "../../../protocol/transport/amqp.ts";
import type { Queue } from "../../../protocol/transport/entities.ts";
import { OperationalError } from "../../app/errors.ts";
import type { Logger } from "../../logger.ts";
import type { ConsumeOptions, Consumer } from "../broker.ts";
import { openChannel } from "./channel.ts";
import type { AmqpConnection } from "./connection.ts";
import type { Declarations } from "./declarations.ts";
import { AmqpDelivery, type Settlement } from "./delivery.ts";

/** What a consumer needs of its broker. */
export interface AmqpConsumerContext {
  connection: AmqpConnection;
  declarations: Declarations;
  log: Logger;
  timeoutMs: number;
  onClosed(consumer: AmqpConsumer): void;
}

/** How long to wait before a channel that the broker closed is opened again, in milliseconds. */
const REOPEN_PAUSE_MS = 500;

/**
 * Consumes some queues on a channel of its own, within one limit of unsettled deliveries for all of them; quorum
 * queues know limits for each consumer only, so there it holds for each queue.
 */
export class AmqpConsumer implements Consumer, Settlement {
  readonly #context: AmqpConsumerContext;
  readonly #options: ConsumeOptions;
  readonly #queues = new Map<string, Queue>();
  readonly #tags = new Map<string, string>();
  readonly #held = new Set<AmqpDelivery>();
  #channel: Channel | undefined;
  #prefetch: number;
  #applied = -1;
  #cancelled = false;
  #closed = false;
  #changing: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;

  constructor(context: AmqpConsumerContext, options: ConsumeOptions) {
    this.#context = context;
    this.#options = options;
    this.#prefetch = options.prefetch;
  }

  get queues(): string[] {
    return [...this.#queues.keys()];
  }

  get unsettled(): number {
    return this.#held.size;
  }

  settle(delivery: AmqpDelivery): boolean {
    return this.#held.delete(delivery) && delivery.channel === this.#channel;
  }

  /** Opens its channel on a new connection, and consumes all its queues again. */
  async open(model: ChannelModel): Promise<void> {
    if (this.#cancelled) return;
    const { channel, closed } = await openChannel(model);
    this.#held.clear();
    this.#tags.clear();
    this.#channel = channel;
    this.#applied = -1;
    void closed.then((reason) => this.#onChannelClosed(channel, model, reason));
    await this.#change(async () => {
      await this.#applyPrefetch();
      for (const queue of this.#queues.values()) await this.#consume(queue);
    });
  }

  /** The connection is lost: the broker has put back what was not settled. */
  lost(): void {
    this.#channel = undefined;
    this.#held.clear();
    this.#tags.clear();
    clearTimeout(this.#retry);
  }

  setPrefetch(prefetch: number): void {
    if (prefetch === this.#prefetch) return;
    this.#prefetch = prefetch;
    this.#change(() => this.#applyPrefetch()).catch((error: Error) => {
      this.#context.log.debug({ err: error }, `prefetch could not be changed now: ${error.message}`);
    });
  }

  async addQueue(queue: Queue): Promise<void> {
    if (this.#queues.has(queue.name)) return;
    await this.#context.declarations.declareQueue(queue);
    this.#queues.set(queue.name, queue);
    if (!this.#channel || this.#cancelled) return;
    await this.#change(async () => {
      // The kind of limit may be another one with this queue.
      await this.#applyPrefetch(true);
      await this.#consume(queue);
    });
  }

  async cancelQueue(name: string): Promise<void> {
    this.#queues.delete(name);
    await this.#change(() => this.#cancelTag(name));
  }

  async cancel(): Promise<void> {
    if (this.#cancelled) return;
    this.#cancelled = true;
    clearTimeout(this.#retry);
    await this.#change(async () => {
      for (const name of [...this.#tags.keys()]) await this.#cancelTag(name);
    });
  }

  /** What is unsettled when its channel closes goes back to its place in the queue. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.cancel().catch(() => undefined);
    const channel = this.#channel;
    this.lost();
    await channel?.close().catch(() => undefined);
    this.#context.onClosed(this);
  }

  /** One change after the other. @throws OperationalError when the connection or the channel goes meanwhile */
  #change(change: () => Promise<void>): Promise<void> {
    const changing = this.#changing.then(async () => {
      if (!this.#channel) return;
      try {
        await change();
      } catch (error) {
        if (error instanceof OperationalError) throw error;
        throw new OperationalError(`consuming: ${(error as Error).message}`, { cause: error });
      }
    });
    this.#changing = changing.catch(() => undefined);
    return changing;
  }

  get #isPerConsumer(): boolean {
    return [...this.#queues.values()].some((queue) => this.#context.declarations.isQuorum(queue));
  }

  /** A limit for the channel holds at once; one for each consumer only for those that begin after it. */
  async #applyPrefetch(anew = false): Promise<void> {
    const channel = this.#channel;
    if (!channel || this.#options.noAck || (this.#applied === this.#prefetch && !anew)) return;
    this.#applied = this.#prefetch;
    if (!this.#isPerConsumer) {
      await channel.prefetch(this.#prefetch, true);
      return;
    }
    await channel.prefetch(0, true);
    await channel.prefetch(this.#prefetch, false);
    for (const name of [...this.#tags.keys()]) {
      const queue = this.#queues.get(name);
      await this.#cancelTag(name);
      if (queue) await this.#consume(queue);
    }
  }

  async #consume(queue: Queue): Promise<void> {
    const channel = this.#channel;
    if (!channel || this.#cancelled || !this.#queues.has(queue.name)) return;
    await this.#context.declarations.declareQueue(queue);
    const { consumerTag } = await channel.consume(
      queue.name,
      (delivered) => this.#onDelivered(delivered, queue.name, channel),
      { noAck: this.#options.noAck === true, arguments: consumerArguments(queue) },
    );
    this.#tags.set(queue.name, consumerTag);
  }

  async #cancelTag(name: string): Promise<void> {
    const tag = this.#tags.get(name);
    this.#tags.delete(name);
    if (tag !== undefined) await this.#channel?.cancel(tag);
  }

  #onDelivered(delivered: ConsumeMessage | null, queue: string, channel: Channel): void {
    if (channel !== this.#channel) return;
    if (delivered === null) {
      this.#onCancelledByBroker(queue);
      return;
    }
    const { noAck, onDelivery, onUnreadable } = this.#options;
    try {
      const delivery = new AmqpDelivery(delivered, queue, channel, noAck ? null : this);
      if (!noAck) this.#held.add(delivery);
      onDelivery(delivery);
    } catch (error) {
      if (!noAck) channel.reject(delivered, false);
      onUnreadable({ queue, text: delivered.content.toString("utf8", 0, 1000), error: error as Error });
    }
  }

  /** The queue was deleted, or its node is gone: declared anew, and consumed again. */
  #onCancelledByBroker(name: string): void {
    const queue = this.#queues.get(name);
    this.#tags.delete(name);
    if (!queue || this.#cancelled) return;
    this.#context.log.warn({ queue: name }, `The broker cancelled the consumer of queue ${name}; consuming it again`);
    this.#context.declarations.forget(name);
    this.#change(() => this.#consume(queue)).catch((error: Error) => this.#again(error));
  }

  #onChannelClosed(channel: Channel, model: ChannelModel, reason = new Error("the channel was closed")): void {
    if (channel !== this.#channel) return;
    this.lost();
    if (this.#cancelled || this.#context.connection.model !== model) return;
    this.#again(reason);
  }

  /** The broker closed the channel alone: over an acknowledgement that took too long, or a queue that is not there. */
  #again(reason: Error): void {
    const quorum = queueWithoutGlobalQos(reason.message);
    if (quorum !== undefined) this.#context.declarations.markQuorum(quorum);
    else this.#context.log.error({ err: reason }, `The broker closed a channel: ${reason.message}; opening another`);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(
      () => {
        const { model } = this.#context.connection;
        if (model && !this.#cancelled) this.open(model).catch((error: Error) => this.#again(error));
      },
      quorum === undefined ? REOPEN_PAUSE_MS : 0,
    );
  }
}

function consumerArguments(queue: Queue): Record<string, unknown> {
  const priority = queue.arguments["x-priority"];
  return typeof priority === "number" ? { "x-priority": priority } : {};
}
