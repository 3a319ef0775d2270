import { type ChannelModel, connect } from "amqplib";
import { OperationalError } from "../../app/errors.ts";
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

/** The longest pause between two attempts to reconnect, in milliseconds. */
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
  #wasOpen = false;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;
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

  /** What the broker said when it stopped to take messages; undefined while it takes them. */
  get blocked(): string | undefined {
    return this.#blocked;
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
      const onAbort = (): void => waiter.reject(asError(signal?.reason));
      const timer = setTimeout(
        () => waiter.reject(new OperationalError(`${this.url}: not connected within ${timeoutMs / 1000} s`)),
        timeoutMs,
      );
      if (signal?.aborted) return onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.add(waiter);
      if (!this.#opening && !this.#retry) void this.#open();
    });
  }

  /** Closes for good. @param timeoutMs milliseconds after which it does not wait for the broker any more */
  async close(timeoutMs: number): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
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
    if (this.#wasOpen) this.#scheduleReconnect(LONGEST_PAUSE_MS);
    else this.#failWaiting(new OperationalError(failures.join("; ")));
  }

  async #openOne({ connect: options, socket, connectTimeoutMs }: AmqpAddress): Promise<ChannelModel> {
    const opening = connect(options, { ...socket, timeout: connectTimeoutMs, keepAlive: true, keepAliveDelay: 30_000 });
    let timer: NodeJS.Timeout | undefined;
    const expired = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`no answer within ${connectTimeoutMs / 1000} s`));
        // One that opens after all is of no use to anybody.
        opening.then(
          (late) => late.close(),
          () => undefined,
        );
      }, connectTimeoutMs + 100);
    });
    try {
      return await Promise.race([opening, expired]);
    } finally {
      clearTimeout(timer);
    }
  }

  #onOpen(model: ChannelModel): void {
    if (this.#closed) {
      void model.close().catch(() => undefined);
      return;
    }
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
    this.#wasOpen = true;
    this.#blocked = undefined;
    this.#options.onOpen(model);
    for (const waiter of [...this.#waiting]) waiter.resolve(model);
  }

  #onClose(model: ChannelModel, error: Error): void {
    if (model !== this.#model) return;
    this.#model = undefined;
    if (this.#closed) return;
    this.#options.onLost(error);
    this.#scheduleReconnect(0);
  }

  #scheduleReconnect(pauseMs: number): void {
    if (this.#closed) return;
    this.#retry = setTimeout(
      () => {
        this.#retry = undefined;
        void this.#open();
      },
      pauseMs * (0.75 + Math.random() / 2),
    );
  }

  #failWaiting(error: Error): void {
    for (const waiter of [...this.#waiting]) waiter.reject(error);
  }
}

/** The driver's socket, which its types do not show. */
function streamOf(model: ChannelModel): { destroy(): void } | undefined {
  return (model.connection as unknown as { stream?: { destroy(): void } }).stream;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
