import type { ChannelModel, ConfirmChannel } from "amqplib";
import { EncodeError } from "../../../protocol/errors.ts";
import type { Message } from "../../../protocol/message/message.ts";
import type { Route } from "../../../protocol/transport/entities.ts";
import { OperationalError } from "../../app/errors.ts";
import { asBuffer } from "../../buffer.ts";
import { withDeadline } from "../deadline.ts";
import { type OpenChannel, openConfirmChannel } from "./channel.ts";
import type { AmqpConnection } from "./connection.ts";
import { encodeError, publishOptions } from "./properties.ts";

/** Sends messages on a channel of its own, on which the broker confirms each. */
export class AmqpPublisher {
  readonly #connection: AmqpConnection;
  #opening: Promise<OpenChannel<ConfirmChannel>> | undefined;
  #open: ConfirmChannel | undefined;

  constructor(connection: AmqpConnection) {
    this.#connection = connection;
  }

  /** The connection is another one, or none. */
  reset(): void {
    this.#opening = undefined;
    this.#open = undefined;
  }

  /**
   * @throws OperationalError when the broker does not confirm within the time, or refuses
   * @throws EncodeError when AMQP cannot carry the message
   */
  publish(message: Message, route: Route, timeoutMs: number): Promise<void> {
    let options: ReturnType<typeof publishOptions>;
    try {
      options = publishOptions(message);
    } catch (error) {
      return Promise.reject(error);
    }
    const what = `publishing to ${route.exchange || route.routingKey}`;
    const sent = this.#open
      ? this.#send(this.#open, message, route, options, what)
      : this.#whenOpen(timeoutMs).then((channel) => this.#send(channel, message, route, options, what));
    return withDeadline(sent, timeoutMs, what).catch((error: Error) => Promise.reject(this.#explained(error, what)));
  }

  /** Waits for what was sent to be confirmed, then closes: a connection closed first would lose it. */
  async close(): Promise<void> {
    const channel = this.#open;
    this.reset();
    if (!channel) return;
    await channel.waitForConfirms().catch(() => undefined);
    await channel.close().catch(() => undefined);
  }

  async #whenOpen(timeoutMs: number): Promise<ConfirmChannel> {
    const model = await this.#connection.whenOpen(timeoutMs);
    this.#opening ??= this.#openOn(model);
    return (await this.#opening).channel;
  }

  async #openOn(model: ChannelModel): Promise<OpenChannel<ConfirmChannel>> {
    const opened = await openConfirmChannel(model);
    if (model === this.#connection.model) this.#open = opened.channel;
    void opened.closed.then(() => {
      if (this.#open === opened.channel) this.reset();
    });
    return opened;
  }

  #send(
    channel: ConfirmChannel,
    message: Message,
    { exchange, routingKey }: Route,
    options: ReturnType<typeof publishOptions>,
    what: string,
  ): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      try {
        channel.publish(exchange, routingKey, asBuffer(message.body), options, (error: Error | null) => {
          if (error) reject(new OperationalError(`${what}: ${error.message}`, { cause: error }));
          else resolve();
        });
      } catch (error) {
        const closed = (error as Error).name === "IllegalOperationError";
        reject(closed ? new OperationalError(`${what}: ${(error as Error).message}`) : encodeError(error as Error));
      }
    });
  }

  /** A broker that takes nothing because of an alarm has said so. */
  #explained(error: Error, what: string): Error {
    const { blocked, url } = this.#connection;
    if (error instanceof EncodeError || blocked === undefined) return error;
    return new OperationalError(`${what}: ${url} takes no messages at present (${blocked})`, { cause: error });
  }
}
