import type { ChannelModel, ConfirmChannel } from "amqplib";
import type { Message } from "../../../protocol/message/message.ts";
import type { Route } from "../../../protocol/transport/entities.ts";
import { OperationalError } from "../../app/errors.ts";
import { asBuffer } from "../../buffer.ts";
import { type OpenChannel, openConfirmChannel } from "./channel.ts";
import type { AmqpConnection } from "./connection.ts";
import { encodeError, publishOptions } from "./properties.ts";

/** What the driver says when the broker would not take a message; when the channel closed it says something else. */
const NACKED = "message nacked";

/** Sends messages on a channel of its own, on which the broker confirms each. */
export class AmqpPublisher {
  readonly #connection: AmqpConnection;
  /** Settles when a new connection has what messages are sent to. */
  readonly #whenDeclared: () => Promise<unknown>;
  #opening: Promise<OpenChannel<ConfirmChannel>> | undefined;
  #open: OpenChannel<ConfirmChannel> | undefined;

  constructor(connection: AmqpConnection, whenDeclared: () => Promise<unknown>) {
    this.#connection = connection;
    this.#whenDeclared = whenDeclared;
  }

  /** The connection is another one, or none. */
  reset(): void {
    this.#opening = undefined;
    this.#open = undefined;
  }

  /**
   * @throws OperationalError when the broker does not confirm within the time, or refuses
   * @throws EncodeError when AMQP cannot carry the message
   * @param onReturned called first when no queue got the message
   */
  publish(message: Message, route: Route, timeoutMs: number, onReturned?: () => void): Promise<void> {
    let options: ReturnType<typeof publishOptions>;
    try {
      options = publishOptions(message);
    } catch (error) {
      return Promise.reject(error);
    }
    const what = `publishing to ${route.exchange || route.routingKey}`;
    const sent = this.#open
      ? this.#send(this.#open, message, route, options, what, onReturned)
      : this.#whenOpen(timeoutMs, what).then((open) => this.#send(open, message, route, options, what, onReturned));
    return this.#connection.within(sent, timeoutMs, what);
  }

  /** Waits for what was sent to be confirmed, then closes: a connection closed first would lose it. */
  async close(): Promise<void> {
    const channel = this.#open?.channel;
    this.reset();
    if (!channel) return;
    await channel.waitForConfirms().catch(() => undefined);
    await channel.close().catch(() => undefined);
  }

  async #whenOpen(timeoutMs: number, what: string): Promise<OpenChannel<ConfirmChannel>> {
    const model = await this.#connection.whenOpen(timeoutMs);
    const opening = this.#opening ?? this.#openOn(model);
    this.#opening = opening;
    try {
      return await opening;
    } catch (error) {
      if (this.#opening === opening) this.#opening = undefined;
      if (model !== this.#connection.model) throw this.#connection.lossError(what);
      throw new OperationalError(`${what}: ${(error as Error).message}`, { cause: error });
    }
  }

  async #openOn(model: ChannelModel): Promise<OpenChannel<ConfirmChannel>> {
    const opened = await openConfirmChannel(model);
    await this.#whenDeclared();
    if (model === this.#connection.model) this.#open = opened;
    void opened.closed.then(() => {
      if (this.#open === opened) this.reset();
    });
    return opened;
  }

  #send(
    { channel, closed }: OpenChannel<ConfirmChannel>,
    message: Message,
    { exchange, routingKey }: Route,
    options: ReturnType<typeof publishOptions>,
    what: string,
    onReturned?: () => void,
  ): Promise<void> {
    if (onReturned) {
      // Nothing else is sent so, and the broker returns it before it confirms.
      channel.once("return", onReturned);
      const sent = this.#send(
        { channel, closed },
        message,
        { exchange, routingKey },
        { ...options, mandatory: true },
        what,
      );
      return sent.finally(() => channel.removeListener("return", onReturned));
    }
    return new Promise<void>((resolve, reject) => {
      const refuse = (reason: string): void => reject(new OperationalError(`${what}: ${reason}`));
      const onClosed = async (): Promise<void> => {
        const reason = await closed;
        if (reason) refuse(reason.message);
        else reject(this.#connection.lossError(what));
      };
      try {
        channel.publish(exchange, routingKey, asBuffer(message.body), options, (error: Error | null) => {
          if (!error) resolve();
          else if (error.message === NACKED) refuse("the broker refused the message: its queue is full, or away");
          else void onClosed();
        });
      } catch (error) {
        if ((error as Error).name === "IllegalOperationError") void onClosed();
        else reject(encodeError(error as Error));
      }
    });
  }
}
