import type { Channel, ChannelModel, ConsumeMessage } from "amqplib";
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
  /** Milliseconds that one command may take. */
  timeoutMs: number;
  onClosed(consumer: AmqpConsumer): void;
}

/** Pauses before what the broker refused is tried again, in milliseconds: they double. */
const SHORTEST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5_000;

/** A limit of unsettled deliveries as the broker was told it. */
interface Limit {
  prefetch: number;
  perConsumer: boolean;
}

/**
 * Consumes some queues on a channel of its own, within one limit of unsettled deliveries for all of them; quorum
 * queues know limits for each consumer only, so there it holds for each queue.
 */
export class AmqpConsumer implements Consumer, Settlement {
  readonly #context: AmqpConsumerContext;
  readonly #options: ConsumeOptions;
  readonly #queues = new Map<string, Queue>();
  /** Of the queues that are consumed at present. */
  readonly #tags = new Map<string, string>();
  readonly #held = new Set<AmqpDelivery>();
  #channel: Channel | undefined;
  #prefetch: number;
  #limit: Limit | undefined;
  #started = false;
  #cancelled = false;
  #closed = false;
  #turn: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  #pauseMs = SHORTEST_PAUSE_MS;

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
    return this.#held.delete(delivery);
  }

  /**
   * Begins to consume.
   * @throws OperationalError when one of the queues cannot be consumed: the consumer is to be closed then
   */
  async start(queues: readonly Queue[]): Promise<void> {
    for (const queue of queues) await this.addQueue(queue);
    await this.#begin();
    this.#started = true;
  }

  /** Consumes whatever it does not consume at present, on another channel where its own is gone, until it succeeds. */
  resume(): void {
    this.#consumeAll().then(
      () => {
        this.#pauseMs = SHORTEST_PAUSE_MS;
      },
      (error: Error) => this.#again(error),
    );
  }

  /** The channel or its connection is lost: the broker has put back what was not settled. */
  lost(): void {
    const returned = [...this.#held];
    this.#channel = undefined;
    this.#held.clear();
    this.#tags.clear();
    this.#limit = undefined;
    this.#stopRetrying();
    for (const delivery of returned) delivery.returned = true;
    if (returned.length > 0) this.#options.onReturned?.();
  }

  setPrefetch(prefetch: number): void {
    if (prefetch === this.#prefetch) return;
    this.#prefetch = prefetch;
    this.#inTurn(() => this.#applyLimit()).catch((error: Error) => this.#again(error));
  }

  async addQueue(queue: Queue): Promise<void> {
    if (this.#queues.has(queue.name)) return;
    await this.#declare(queue);
    this.#queues.set(queue.name, queue);
    if (!this.#channel) return;
    try {
      await this.#begin();
    } catch (error) {
      this.#queues.delete(queue.name);
      this.#again(error as Error);
      throw error;
    }
  }

  async cancelQueue(name: string): Promise<void> {
    this.#queues.delete(name);
    await this.#inTurn(() => this.#cancelTag(name));
  }

  async cancel(): Promise<void> {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#stopRetrying();
    await this.#inTurn(async () => {
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
    const { connection, timeoutMs, onClosed } = this.#context;
    if (channel) await connection.within(channel.close(), timeoutMs, "closing").catch(() => undefined);
    onClosed(this);
  }

  /** One change after the other. */
  #inTurn(change: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(change);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Consumes all queues. Which kind of limit one takes may be known only when the broker broke the connection over it. */
  async #begin(): Promise<void> {
    const { perConsumer } = this.#wantedLimit;
    try {
      await this.#consumeAll();
    } catch (error) {
      if (this.#wantedLimit.perConsumer === perConsumer) throw error;
      await this.#context.connection.whenOpen(this.#context.timeoutMs);
      await this.#consumeAll();
    }
  }

  /** A queue that cannot be declared holds up no other. @throws OperationalError */
  #consumeAll(): Promise<void> {
    return this.#inTurn(async () => {
      const { model } = this.#context.connection;
      if (!model || this.#cancelled) return;
      if (!this.#channel) await this.#openChannel(model);
      await this.#applyLimit();
      let failure: unknown;
      for (const queue of this.#queues.values()) {
        try {
          await this.#declare(queue);
        } catch (error) {
          failure = error;
          continue;
        }
        await this.#consume(queue);
      }
      if (failure) throw failure;
    });
  }

  async #openChannel(model: ChannelModel): Promise<void> {
    const { connection, timeoutMs } = this.#context;
    const opening = openChannel(model);
    const { channel, closed } = await connection.within(opening, timeoutMs, "opening a channel").catch((error) => {
      void opening.then((late) => late.channel.close()).catch(() => undefined);
      throw this.#operational("opening a channel", error);
    });
    if (connection.model !== model) throw connection.lossError("consuming");
    this.#channel = channel;
    void closed.then((reason) => this.#onChannelClosed(channel, model, reason));
  }

  #declare(queue: Queue): Promise<void> {
    const { connection, declarations, timeoutMs } = this.#context;
    return connection.within(declarations.declareQueue(queue), timeoutMs, `declaring queue ${queue.name}`);
  }

  get #wantedLimit(): Limit {
    const perConsumer = [...this.#queues.values()].some((queue) => this.#context.declarations.isQuorum(queue));
    return { prefetch: this.#prefetch, perConsumer };
  }

  /** A limit for the channel holds at once; one for each consumer only for those that begin after it. */
  async #applyLimit(): Promise<void> {
    const [before, { prefetch, perConsumer }] = [this.#limit, this.#wantedLimit];
    if (!this.#channel || this.#options.noAck) return;
    if (before?.prefetch === prefetch && before.perConsumer === perConsumer) return;
    this.#limit = { prefetch, perConsumer };
    const limit = (count: number, global: boolean): Promise<unknown> =>
      this.#command("limiting deliveries", (channel) => channel.prefetch(count, global));
    if (!perConsumer) {
      await limit(prefetch, true);
      return;
    }
    if (before && !before.perConsumer) await limit(0, true);
    await limit(prefetch, false);
    for (const name of [...this.#tags.keys()]) {
      const queue = this.#queues.get(name);
      await this.#cancelTag(name);
      if (queue) await this.#consume(queue);
    }
  }

  async #consume(queue: Queue): Promise<void> {
    const { name } = queue;
    if (!this.#channel || this.#cancelled || !this.#queues.has(name) || this.#tags.has(name)) return;
    const options = { noAck: this.#options.noAck === true, arguments: consumerArguments(queue) };
    const { consumerTag } = await this.#command(`consuming from ${name}`, (channel) =>
      channel.consume(name, (delivered) => this.#onDelivered(delivered, name, channel), options),
    );
    this.#tags.set(name, consumerTag);
  }

  async #cancelTag(name: string): Promise<void> {
    const tag = this.#tags.get(name);
    this.#tags.delete(name);
    if (tag !== undefined && this.#channel) {
      await this.#command(`cancelling ${name}`, (channel) => channel.cancel(tag));
    }
  }

  /**
   * Has the channel do something. One that does not answer, or refuses, is given up: nobody knows what it consumes.
   * @throws OperationalError
   */
  async #command<T>(what: string, command: (channel: Channel) => Promise<T>): Promise<T> {
    const { connection, timeoutMs } = this.#context;
    const channel = this.#channel;
    if (!channel) throw connection.lossError(what);
    try {
      return await connection.within(command(channel), timeoutMs, what);
    } catch (error) {
      if (channel === this.#channel) {
        this.lost();
        void channel.close().catch(() => undefined);
      }
      throw this.#operational(what, error);
    }
  }

  #operational(what: string, error: unknown): OperationalError {
    if (error instanceof OperationalError) return error;
    const { connection } = this.#context;
    if (!connection.model) return connection.lossError(what);
    return new OperationalError(`${what}: ${(error as Error).message}`, { cause: error });
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
    this.#tags.delete(name);
    if (!this.#queues.has(name) || this.#cancelled) return;
    this.#context.log.warn({ queue: name }, `The broker cancelled the consumer of queue ${name}; consuming it again`);
    this.#context.declarations.forget(name);
    this.resume();
  }

  /** The broker closed the channel alone: over an acknowledgement that took too long, or one of its own troubles. */
  #onChannelClosed(channel: Channel, model: ChannelModel, reason = new Error("the channel was closed")): void {
    if (channel !== this.#channel) return;
    this.lost();
    if (this.#context.connection.model === model) this.#again(reason);
  }

  /** Tries again after a pause; a connection that is lost resumes its consumers when it is back. */
  #again(reason: Error): void {
    if (!this.#started || this.#cancelled || this.#retry || !this.#context.connection.model) return;
    const pause = (this.#pauseMs / 1000).toFixed(1);
    this.#context.log.error({ err: reason }, `consumer: ${reason.message}. Trying again in ${pause} seconds...`);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.resume();
    }, this.#pauseMs);
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
  }

  #stopRetrying(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }
}

function consumerArguments(queue: Queue): Record<string, unknown> {
  const priority = queue.arguments["x-priority"];
  return typeof priority === "number" ? { "x-priority": priority } : {};
}
