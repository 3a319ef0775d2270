import { Redis, type RedisOptions } from "ioredis";
import { OperationalError } from "../app/errors.ts";
import type { RedisAddress } from "./url.ts";

/** What a {@link RedisClient} is made with. */
export interface RedisClientOptions {
  addresses: readonly RedisAddress[];
  /** Milliseconds that one attempt to connect may take. */
  connectTimeoutMs: number;
  /** What `CLIENT LIST` shows. */
  name: string;
  /** Milliseconds that an answer may take before its command rejects; for ever unless given. */
  commandTimeoutMs?: number;
  /** Milliseconds between two questions for a sign of life; none unless given. */
  healthCheckIntervalMs?: number;
  /** Called each time the connection is there, the first time included. */
  onReady?: (client: Redis) => void;
  /** Called when a connection that was there is lost. */
  onLost?: (error: Error) => void;
}

/** The longest pause between two attempts to reconnect, in milliseconds. */
const LONGEST_PAUSE_MS = 1000;

/**
 * One connection to Redis that comes back by itself, through all its addresses in turn. A command that was under way
 * when the connection broke rejects: whether the server ran it nobody knows. Nothing is queued while it is down.
 */
export class RedisClient {
  readonly #options: RedisClientOptions;
  readonly #waiting = new Set<{ resolve: (redis: Redis) => void; reject: (error: Error) => void }>();
  #redis: Redis | undefined;
  #address = 0;
  #attempt = 0;
  /** Why each address failed that was tried since anybody asked. */
  #failures: string[] = [];
  #ready = false;
  #closed = false;
  #error: Error = new Error("not connected yet");
  #retry: NodeJS.Timeout | undefined;

  constructor(options: RedisClientOptions) {
    this.#options = options;
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** The URL in use, masked. */
  get url(): string {
    return this.#current.url;
  }

  /** The connection, when it is there: the fast way, to be taken when {@link ready}. */
  get redis(): Redis {
    return this.#redis as Redis;
  }

  get #current(): RedisAddress {
    return this.#options.addresses[this.#address % this.#options.addresses.length] as RedisAddress;
  }

  /**
   * Tries each address once.
   * @throws OperationalError when none can be reached
   */
  connect(signal?: AbortSignal): Promise<Redis> {
    return this.whenReady(this.#options.connectTimeoutMs * this.#options.addresses.length, signal);
  }

  /**
   * Waits for the connection to be there, opening it if nobody has yet.
   * @throws OperationalError when it is not within the time, or closed
   */
  whenReady(timeoutMs: number, signal?: AbortSignal): Promise<Redis> {
    if (this.#ready) return Promise.resolve(this.redis);
    if (this.#closed) return Promise.reject(new OperationalError(`${this.url}: the connection was closed`));
    if (!this.#redis && !this.#retry) this.#open();
    return new Promise<Redis>((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#waiting.delete(waiter);
      };
      const waiter = {
        resolve: (redis: Redis) => {
          settle();
          resolve(redis);
        },
        reject: (error: Error) => {
          settle();
          const known = error instanceof OperationalError;
          reject(
            known ? error : new OperationalError(`Cannot connect to ${this.url}: ${error.message}`, { cause: error }),
          );
        },
      };
      const onAbort = (): void => waiter.reject(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
      const timer = setTimeout(
        () => waiter.reject(new Error(`no answer within ${timeoutMs} ms (${this.#error.message})`)),
        timeoutMs,
      );
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.add(waiter);
    });
  }

  /** Gives up a connection that no longer answers; it is opened again. */
  reset(error: Error): void {
    this.#error = error;
    this.#redis?.disconnect();
  }

  /** Closes for good. Commands under way are waited for, but no longer than `timeoutMs`. */
  async close(timeoutMs = 1000): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    const redis = this.#redis;
    const wasReady = this.#ready;
    this.#failWaiting(new Error("the connection was closed"));
    if (redis && wasReady) {
      let timer: NodeJS.Timeout | undefined;
      const expired = new Promise((resolve) => {
        timer = setTimeout(resolve, timeoutMs);
      });
      await Promise.race([redis.quit().catch(() => undefined), expired]);
      clearTimeout(timer);
    }
    this.#drop();
  }

  #open(): void {
    const options: RedisOptions = {
      ...this.#current.options,
      lazyConnect: true,
      protocol: 2,
      connectionName: this.#options.name,
      connectTimeout: this.#options.connectTimeoutMs,
      ...(this.#options.commandTimeoutMs && { commandTimeout: this.#options.commandTimeoutMs }),
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      keepAlive: 30_000,
      retryStrategy: () => null,
      // A master that became a replica is left for the one that the sentinels name now.
      reconnectOnError: (error) => error.message.startsWith("READONLY"),
    };
    const redis = new Redis(options as RedisOptions & { replyMapping: "legacy" });
    this.#redis = redis;
    redis.on("error", (error: Error) => {
      this.#error = error;
    });
    redis.on("ready", () => this.#onReady(redis));
    redis.on("end", () => this.#onEnd(redis));
    redis.connect().catch((error: Error) => {
      // The `error` event has told the cause; this one only says that the connection is closed.
      if (!/closed/i.test(error.message)) this.#error = error;
    });
  }

  #onReady(redis: Redis): void {
    if (redis !== this.#redis) return;
    this.#ready = true;
    this.#attempt = 0;
    this.#failures = [];
    this.#options.onReady?.(redis);
    this.#checkHealth(redis);
    for (const waiter of this.#waiting) waiter.resolve(redis);
  }

  /** Asks again and again whether the other side is there. What hangs is noticed by the connection's own time limit. */
  #checkHealth(redis: Redis): void {
    const { healthCheckIntervalMs } = this.#options;
    if (!healthCheckIntervalMs) return;
    let answered = true;
    const timer = setInterval(() => {
      if (!answered) return this.reset(new Error(`no sign of life within ${healthCheckIntervalMs} ms`));
      answered = false;
      redis.ping().then(
        () => {
          answered = true;
        },
        // The connection broke: that has been noticed.
        () => undefined,
      );
    }, healthCheckIntervalMs);
    redis.once("end", () => clearInterval(timer));
  }

  #onEnd(redis: Redis): void {
    if (redis !== this.#redis) return;
    const wasReady = this.#ready;
    this.#ready = false;
    this.#redis = undefined;
    if (this.#closed) return;
    if (wasReady) this.#options.onLost?.(this.#error);
    if (wasReady || this.#attempt > 0) this.#scheduleReconnect();
    else this.#tryNext();
  }

  /** It never was there: the other addresses are tried at once, then whoever waits is told, not left to wait on. */
  #tryNext(): void {
    this.#failures.push(`Cannot connect to ${this.url}: ${this.#error.message}`);
    this.#address++;
    if (this.#failures.length < this.#options.addresses.length) {
      this.#open();
      return;
    }
    const error = new OperationalError(this.#failures.join("; "), { cause: this.#error });
    this.#failures = [];
    this.#failWaiting(error);
  }

  #scheduleReconnect(): void {
    const pause = this.#attempt === 0 ? 0 : Math.min(LONGEST_PAUSE_MS, 25 * 2 ** this.#attempt);
    if (this.#attempt > 0) this.#address++;
    this.#attempt++;
    this.#retry = setTimeout(
      () => {
        this.#retry = undefined;
        this.#open();
      },
      pause * (0.75 + Math.random() / 2),
    );
  }

  #failWaiting(error: Error): void {
    for (const waiter of [...this.#waiting]) waiter.reject(error);
  }

  #drop(): void {
    const redis = this.#redis;
    this.#redis = undefined;
    this.#ready = false;
    redis?.disconnect();
  }
}
