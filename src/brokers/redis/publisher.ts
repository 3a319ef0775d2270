import { OperationalError } from "../../app/errors.ts";
import type { RedisClient } from "../../redis/client.ts";
import { withDeadline } from "../deadline.ts";

/** What fills a batch: it is sent at once, so that the server is at work while the next one is made. */
const FULL_MESSAGES = 50;
const FULL_CHARACTERS = 250_000;

interface Batch {
  readonly texts: string[];
  characters: number;
  timeoutMs: number;
  readonly sent: Promise<void>;
  /** Sends it, once. */
  send(): void;
}

/**
 * Sends messages to lists. What is published within one turn of the event loop goes to each list in one command:
 * in the order of the calls, and answered together.
 */
export class RedisPublisher {
  readonly #client: RedisClient;
  readonly #open = new Map<string, Batch>();

  constructor(client: RedisClient) {
    this.#client = client;
  }

  /**
   * @param expiresMs milliseconds after which the list is dropped when nobody uses it
   * @throws OperationalError when the connection is lost, the server refuses or does not answer in time
   */
  push(list: string, text: string, timeoutMs: number, expiresMs?: number): Promise<void> {
    const batch = this.#open.get(list) ?? this.#newBatch(list, timeoutMs, expiresMs);
    batch.texts.push(text);
    batch.characters += text.length;
    batch.timeoutMs = Math.min(batch.timeoutMs, timeoutMs);
    if (batch.texts.length >= FULL_MESSAGES || batch.characters >= FULL_CHARACTERS) batch.send();
    return batch.sent;
  }

  #newBatch(list: string, timeoutMs: number, expiresMs: number | undefined): Batch {
    let settle: (sent: Promise<void>) => void = () => undefined;
    const batch: Batch = {
      texts: [],
      characters: 0,
      timeoutMs,
      sent: new Promise((resolve) => {
        settle = resolve;
      }),
      send: () => {
        if (this.#open.get(list) !== batch) return;
        this.#open.delete(list);
        settle(this.#send(list, batch.texts, batch.timeoutMs, expiresMs));
      },
    };
    this.#open.set(list, batch);
    process.nextTick(batch.send);
    return batch;
  }

  async #send(list: string, texts: string[], timeoutMs: number, expiresMs: number | undefined): Promise<void> {
    try {
      const redis = this.#client.ready ? this.#client.redis : await this.#client.whenReady(timeoutMs);
      const pushed = redis.lpush(list, ...texts);
      if (expiresMs !== undefined) redis.pexpire(list, expiresMs).catch(() => undefined);
      await withDeadline(pushed, timeoutMs, `publishing to ${list}`);
    } catch (error) {
      if (error instanceof OperationalError) throw error;
      throw new OperationalError(`publishing to ${list}: ${(error as Error).message}`, { cause: error });
    }
  }
}
