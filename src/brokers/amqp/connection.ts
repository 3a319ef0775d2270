import type { Socket } from "node:net";
import { type ChannelModel, connect, type SocketOptions } from "amqplib";
import { OperationalError } from "../../app/errors.ts";
import { withDeadline } from "../deadline.ts";
import { readLongIntegers } from "./long-integers.ts";
import { type AmqpAddress, connectFailure } from "./url.ts";

/** What an {@link AmqpConnection} is made with. */
export interface AmqpConnectionOptions {
  addresses: readonly AmqpAddress[];
  failoverStrategy: "round-robin" | "shuffle";
  /** Called each time the connection is there, the first time included. */
  onOpen(model: ChannelModel): void;
  /** Called when a connection that was there is lost. */
  onLost(error: Error): void;
}

/** Pauses between attempts to reconnect, in milliseconds: the first attempt is made at once, then they double. */
const SHORTEST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

interface Waiter {
  resolve(model: ChannelModel): void;
  reject(error: Error): void;
}

/** One connection to RabbitMQ that comes back by itself, through all its addresses in turn. */
export class AmqpConnection {
  readonly #options: AmqpConnectionOptions;
  readonly #waiting = new Set<Waiter>();
  #model: ChannelModel | undefined;
  #address = 0;
  #opening = false;
  /** Ends an attempt to connect that is under way. */
  #attempt: AbortController | undefined;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;
  #pauseMs = 0;
  /** Milliseconds since the epoch; 0 when it was never open. */
  #openedAt = 0;
  /** Why there is no connection: what ended the last one, or what the last attempts came to. */
  #trouble: string | undefined;
  /** Why the broker takes no messages at present: its memory or disk alarm. */
  #blocked: string | undefined;

  constructor(options: AmqpConnectionOptions) {
    this.#options = options;
  }

  /** The open connection, or undefined. */
  get model(): ChannelModel | undefined {
    return this.#model;
  }

  get url(): string {
    return this.#current.url;
  }

  get #current(): AmqpAddress {
    return this.#options.addresses[this.#address % this.#options.addresses.length] as AmqpAddress;
  }

  /**
   * Waits for the connection to be there, opening it if nobody has yet.
   * @param timeoutMs milliseconds
   * @throws OperationalError when it is not within the time, when no address can be reached, or when it is closed
   */
  whenOpen(timeoutMs: number, signal?: AbortSignal): Promise<ChannelModel> {
    if (this.#model) return Promise.resolve(this.#model);
    if (this.#closed) return Promise.reject(new OperationalError(`${this.url}: the connection was closed`));
    return new Promise<ChannelModel>((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#waiting.delete(waiter);
      };
      const waiter: Waiter = {
        resolve(model) {
          settle();
          resolve(model);
        },
        reject(error) {
          settle();
          reject(error);
        },
      };
      const onAbort = (): void => {
        const { message } = asError(signal?.reason);
        waiter.reject(this.lossError(message, { cause: signal?.reason }));
      };
      const timer = setTimeout(
        () => waiter.reject(this.lossError(`not connected within ${timeoutMs / 1000} s`)),
        timeoutMs,
      );
      if (signal?.aborted) return onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.add(waiter);
      if (!this.#opening && !this.#retry) void this.#open();
    });
  }

  /**
   * What a command ends with that the connection did not outlive, or did not come for in time.
   * @param what is said of it: `publishing to celery`
   */
  lossError(what: string, options?: ErrorOptions): OperationalError {
    return new OperationalError(`${what}: ${this.#trouble ?? `no connection to ${this.url}`}`, options);
  }

  /**
   * The answer to a command, or a rejection when it takes too long. A broker that takes nothing because of an alarm
   * has said so, and then the error says it.
   *
   * @param what is said of it in the error: `publishing to celery`
   * @throws OperationalError after `timeoutMs` milliseconds
   */
  within<T>(answer: Promise<T>, timeoutMs: number, what: string): Promise<T> {
    return withDeadline(answer, timeoutMs, what).catch((error: Error) => {
      if (this.#blocked === undefined || !(error instanceof OperationalError)) throw error;
      const text = `${what}: ${this.url} takes no messages at present (${this.#blocked})`;
      throw new OperationalError(text, { cause: error });
    });
  }

  /** Closes for good. @param timeoutMs milliseconds after which it does not wait for the broker any more */
  async close(timeoutMs: number): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#attempt?.abort();
    this.#failWaiting(new OperationalError(`${this.url}: the connection was closed`));
    const model = this.#model;
    this.#model = undefined;
    if (!model) return;
    let timer: NodeJS.Timeout | undefined;
    const expired = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    await Promise.race([model.close().catch(() => undefined), expired]);
    clearTimeout(timer);
    streamOf(model)?.destroy();
  }

  /** One round through all addresses, then another after a pause if the connection was there before. */
  async #open(): Promise<void> {
    this.#opening = true;
    const failures: string[] = [];
    const { addresses, failoverStrategy } = this.#options;
    if (failoverStrategy === "shuffle") this.#address = Math.floor(Math.random() * addresses.length);
    for (let tried = 0; tried < addresses.length && !this.#closed; tried++) {
      try {
        const model = await this.#openOne(this.#current);
        this.#opening = false;
        this.#onOpen(model);
        return;
      } catch (error) {
        failures.push(`Cannot connect to ${this.url}: ${connectFailure(this.#current, asError(error))}`);
        this.#address++;
      }
    }
    this.#opening = false;
    this.#trouble = failures.join("; ");
    if (this.#openedAt > 0) this.#scheduleReconnect();
    else this.#failWaiting(new OperationalError(this.#trouble));
  }

  async #openOne({ connect: options, socket, connectTimeoutMs }: AmqpAddress): Promise<ChannelModel> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    const timer = setTimeout(() => attempt.abort(), connectTimeoutMs);
    const keepAlive = { keepAlive: true, keepAliveDelay: 30_000 };
    try {
      return await connect(options, { ...socket, ...keepAlive, signal: attempt.signal } as SocketOptions);
    } catch (error) {
      throw attempt.signal.aborted ? new Error(`no answer within ${connectTimeoutMs / 1000} s`) : error;
    } finally {
      clearTimeout(timer);
      this.#attempt = undefined;
    }
  }

  #onOpen(model: ChannelModel): void {
    if (this.#closed) {
      void model.close().catch(() => undefined);
      return;
    }
    readLongIntegers(model);
    let reason = new Error("the connection was closed");
    model.on("error", (error) => {
      reason = error;
    });
    model.on("blocked", (why) => {
      this.#blocked = why;
    });
    model.on("unblocked", () => {
      this.#blocked = undefined;
    });
    model.on("close", (error) => this.#onClose(model, error ?? reason));
    this.#model = model;
    this.#openedAt = Date.now();
    this.#options.onOpen(model);
    for (const waiter of [...this.#waiting]) waiter.resolve(model);
  }

  #onClose(model: ChannelModel, error: Error): void {
    // Its other end may be gone without a word: nobody would ever close it.
    streamOf(model)?.destroySoon();
    if (model !== this.#model) return;
    this.#model = undefined;
    this.#blocked = undefined;
    this.#trouble = `the connection to ${this.url} was lost (${error.message})`;
    if (this.#closed) return;
    this.#options.onLost(error);
    if (Date.now() - this.#openedAt > LONGEST_PAUSE_MS) this.#pauseMs = 0;
    this.#scheduleReconnect();
  }

  /** After a pause that is longer each time, until a connection has lasted. */
  #scheduleReconnect(): void {
    if (this.#closed) return;
    this.#retry = setTimeout(
      () => {
        this.#retry = undefined;
        void this.#open();
      },
      this.#pauseMs * (0.75 + Math.random() / 2),
    );
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, this.#pauseMs * 2));
  }

  #failWaiting(error: Error): void {
    for (const waiter of [...this.#waiting]) waiter.reject(error);
  }
}

/** The driver's socket, which its types do not show. */
function streamOf(model: ChannelModel): Socket | undefined {
  return (model.connection as unknown as { stream?: Socket }).stream;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
