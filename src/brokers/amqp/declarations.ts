import type { Channel, ChannelModel } from "amqplib";
import {
  canDeclare,
  type Inequivalence,
  queueBindings,
  queueDeclaration,
  readInequivalence,
} from "../../../protocol/transport/amqp.ts";
import type { ExchangeBinding } from "../../../protocol/transport/delayed-delivery.ts";
import type { Exchange, Queue } from "../../../protocol/transport/entities.ts";
import { isQuorumQueue } from "../../../protocol/transport/entities.ts";
import { OperationalError } from "../../app/errors.ts";
import type { Logger } from "../../logger.ts";
import { type OpenChannel, openChannel } from "./channel.ts";
import type { AmqpConnection } from "./connection.ts";
import { tableValues } from "./table-values.ts";

/**
 * Declares exchanges and queues, once for each connection, on a channel of its own: a declaration that the broker
 * refuses closes its channel, and no other.
 */
export class Declarations {
  readonly #connection: AmqpConnection;
  readonly #log: Logger;
  readonly #known = new Map<string, Promise<void>>();
  readonly #warned = new Set<string>();
  /** Queues that turned out to be of a kind that takes no limit for a whole channel. */
  readonly #quorum = new Set<string>();
  #model: ChannelModel | undefined;
  #channel: Promise<OpenChannel<Channel>> | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(connection: AmqpConnection, log: Logger) {
    this.#connection = connection;
    this.#log = log;
  }

  /** Begins anew: whatever was declared on another connection may be gone. */
  reset(model: ChannelModel | undefined): void {
    this.#model = model;
    this.#channel = undefined;
    this.#known.clear();
  }

  isQuorum(queue: Queue): boolean {
    return isQuorumQueue(queue) || this.#quorum.has(queue.name);
  }

  /** Said by the broker when it refuses a limit for the whole channel. */
  markQuorum(queue: string): void {
    this.#quorum.add(queue);
  }

  declareQueue(queue: Queue): Promise<void> {
    return this.#once(`queue ${queue.name}`, () => this.#declareQueue(queue));
  }

  declareExchange(exchange: Exchange): Promise<void> {
    if (!canDeclare(exchange)) return Promise.resolve();
    return this.#once(`exchange ${exchange.name}`, () => this.#declareExchange(exchange));
  }

  /** Feeds one exchange from another; both are there. */
  bindExchange({ source, destination, routingKey }: ExchangeBinding): Promise<void> {
    const what = `binding of exchange ${destination} to ${source} by ${routingKey}`;
    return this.#once(what, async () => {
      await this.run(what, (channel) => channel.bindExchange(destination, source, routingKey));
    });
  }

  /** Binds a queue by one key more; it and the exchange are there. */
  bindQueue(queue: string, exchange: string, routingKey: string): Promise<void> {
    const what = `binding of queue ${queue} to ${exchange} by ${routingKey}`;
    return this.#once(what, async () => {
      await this.run(what, (channel) => channel.bindQueue(queue, exchange, routingKey));
    });
  }

  /** A queue that is gone is declared again when it is needed next. */
  forget(queue: string): void {
    this.#known.delete(`queue ${queue}`);
  }

  /**
   * Runs one command on the channel, and after a refusal the next on another channel.
   * @param what is said of it in the error: `declaring queue celery`
   * @throws OperationalError when the connection is lost
   * @throws the broker's refusal, with its `code`
   */
  run<T>(what: string, command: (channel: Channel) => Promise<T>): Promise<T> {
    const turn = this.#turn.then(async () => {
      const model = this.#model;
      if (!model) throw this.#connection.lossError(what);
      this.#channel ??= openChannel(model);
      const opening = this.#channel;
      try {
        const { channel, closed } = await opening;
        return await Promise.race([command(channel), closed.then((reason) => Promise.reject(reason))]);
      } catch (error) {
        if (this.#channel === opening) this.#channel = undefined;
        if (this.#model !== model) throw this.#connection.lossError(what);
        throw error;
      }
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  #once(what: string, declare: () => Promise<void>): Promise<void> {
    const known = this.#known.get(what);
    if (known) return known;
    const declaring = declare().catch((error: Error) => {
      this.#known.delete(what);
      if (error instanceof OperationalError) throw error;
      throw new OperationalError(`Cannot declare ${what}: ${error.message}`, { cause: error });
    });
    this.#known.set(what, declaring);
    return declaring;
  }

  async #declareExchange({ name, type, durable, autoDelete, arguments: given }: Exchange): Promise<void> {
    const options = { durable, autoDelete, arguments: tableValues(given ?? {}) };
    await this.#unlessDifferent(`exchange ${name}`, (channel) => channel.assertExchange(name, type, options));
  }

  async #declareQueue(queue: Queue): Promise<void> {
    const bindings = queueBindings(queue);
    for (const { exchange } of bindings) await this.declareExchange(exchange);
    if (queue.noDeclare) {
      // Consuming from a queue that is not there would close the consumer's channel, and all its other queues with it.
      await this.run(`looking for queue ${queue.name}`, (channel) => channel.checkQueue(queue.name));
    } else {
      const { arguments: given, ...flags } = queueDeclaration(queue);
      const options = { ...flags, arguments: tableValues(given) };
      const declare = (channel: Channel): Promise<unknown> => channel.assertQueue(queue.name, options);
      const difference = await this.#unlessShared(queue, () => this.#unlessDifferent(`queue ${queue.name}`, declare));
      if (difference?.argument === "x-queue-type" && difference.theirs === "quorum") this.markQuorum(queue.name);
    }
    for (const { exchange, routingKey } of bindings) {
      const what = `binding queue ${queue.name} to ${exchange.name}`;
      await this.run(what, (channel) => channel.bindQueue(queue.name, exchange.name, routingKey));
    }
  }

  /**
   * A queue that is exclusive for one Celery and not for another, as mailboxes are since 5.7, is refused as locked both
   * ways. One that is nobody's own can be used as it is; that it is another connection's own stays an error.
   */
  async #unlessShared<T>(queue: Queue, declare: () => Promise<T>): Promise<T | undefined> {
    try {
      return await declare();
    } catch (error) {
      if ((error as { code?: unknown }).code !== 405 || !queue.exclusive) throw error;
      try {
        await this.run(`looking for queue ${queue.name}`, (channel) => channel.checkQueue(queue.name));
      } catch {
        throw error;
      }
      this.#warn(`queue ${queue.name}`, { argument: "exclusive", ours: "true", theirs: "false" });
      return undefined;
    }
  }

  #warn(what: string, { argument, ours, theirs }: Inequivalence): void {
    if (this.#warned.has(what)) return;
    this.#warned.add(what);
    this.#log.warn(
      { argument, ours, theirs },
      `The ${what} exists with ${argument} ${theirs ?? "not set"}, where the settings say ${ours ?? "nothing"}; it is used as it is`,
    );
  }

  /** What exists with other properties is used as it is, and said once. */
  async #unlessDifferent(
    what: string,
    declare: (channel: Channel) => Promise<unknown>,
  ): Promise<ReturnType<typeof readInequivalence>> {
    try {
      await this.run(`declaring ${what}`, declare);
      return undefined;
    } catch (error) {
      if ((error as { code?: unknown }).code !== 406) throw error;
      const difference = readInequivalence((error as Error).message);
      if (!difference) throw error;
      this.#warn(what, difference);
      return difference;
    }
  }
}
