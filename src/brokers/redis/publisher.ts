import { OperationalError } from "../../app/errors.ts";
import type { RedisClient } from "../../redis/client.ts";
import { withDeadline } from "../deadline.ts";

/** How much one `LPUSH` carries at the most: beyond it, messages go in several. */
const BATCH_MESSAGES = 500;
const BATCH_CHARACTERS = 1_000_000;

interface Batch {
  list: string;
  texts: string[];
  characters: number;
  timeoutMs: number;
  sent: Promise<void>;
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
    let batch = this.#open.get(list);
    if (!batch || batch.texts.length >= BATCH_MESSAGES || batch.characters > BATCH_CHARACTERS) {
      batch = this.#newBatch(list, timeoutMs, expiresMs);
    }
    batch.texts.push(text);
    batch.characters += text.length;
    batch.timeoutMs = Math.min(batch.timeoutMs, timeoutMs);
    return batch.sent;
  }

  #newBatch(list: string, timeoutMs: number, expiresMs: number | undefined): Batch {
    const turn = new Promise<void>((resolve) => process.nextTick(resolve));
    const batch: Batch = { list, texts: [], characters: 0, timeoutMs, sent: Promise.resolve() };
    batch.sent = turn.then(() => this.#send(batch, expiresMs));
    this.#open.set(list, batch);
    return batch;
  }

  async #send(batch: Batch, expiresMs: number | undefined): Promise<void> {
    if (this.#open.get(batch.list) === batch) this.#open.delete(batch.list);
    const { list, texts, timeoutMs } = batch;
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
