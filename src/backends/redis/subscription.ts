import type { Redis } from "ioredis";
import type { TaskMeta } from "../../../protocol/result/meta.ts";
import { RedisClient, type RedisClientOptions } from "../../redis/client.ts";
import { Waiters } from "../waiters.ts";

/** What the subscription needs of the backend. */
export interface SubscriptionContext {
  key(taskId: string): string;
  taskId(key: string): string;
  read(text: Buffer, taskId: string): TaskMeta;
  /** The records that are there now, PENDING for those that are not. */
  readAll(taskIds: readonly string[]): Promise<TaskMeta[]>;
}

/**
 * Waits for any number of results on one connection: a channel for each task, left as soon as nobody waits for it.
 * After a reconnect every channel is subscribed to again, and every record read, since what was published meanwhile
 * nobody heard.
 */
export class ResultSubscription {
  readonly #context: SubscriptionContext;
  readonly #client: RedisClient;
  readonly #waiters: Waiters;
  readonly #timeoutMs: number;
  readonly #joining = new Set<string>();
  readonly #leaving = new Set<string>();
  /** Whose channels a new connection subscribes to again. */
  readonly #joined = new Set<string>();
  #scheduled = false;
  #used = false;

  constructor(context: SubscriptionContext, options: RedisClientOptions) {
    this.#context = context;
    this.#timeoutMs = options.connectTimeoutMs;
    this.#client = new RedisClient({ ...options, onReady: (redis) => this.#onReady(redis) });
    this.#waiters = new Waiters(
      (taskId) => this.#join(taskId),
      (taskId) => this.#leave(taskId),
    );
  }

  wait(taskId: string, signal: AbortSignal, onState?: (meta: TaskMeta) => void): Promise<TaskMeta> {
    return this.#waiters.wait(taskId, signal, onState);
  }

  /** @param error what those who still wait are told */
  async close(error: Error): Promise<void> {
    this.#waiters.failAll(error);
    if (this.#used) await this.#client.close(200);
  }

  /** Also for a channel that is about to be left: its record has to be read again. */
  #join(taskId: string): void {
    this.#leaving.delete(taskId);
    this.#joining.add(taskId);
    this.#schedule();
  }

  #leave(taskId: string): void {
    if (!this.#joining.delete(taskId)) this.#leaving.add(taskId);
    this.#schedule();
  }

  /** Channels are joined and left together, once in each turn of the event loop. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      void this.#subscribe();
    });
  }

  async #subscribe(): Promise<void> {
    this.#used = true;
    const joining = [...this.#joining];
    const leaving = [...this.#leaving];
    this.#joining.clear();
    this.#leaving.clear();
    for (const taskId of leaving) this.#joined.delete(taskId);
    try {
      const redis = this.#client.ready ? this.#client.redis : await this.#client.whenReady(this.#timeoutMs);
      for (const taskId of joining) this.#joined.add(taskId);
      if (leaving.length > 0) redis.unsubscribe(...leaving.map(this.#context.key)).catch(() => undefined);
      if (joining.length === 0) return;
      await redis.subscribe(...joining.map(this.#context.key));
      await this.#tellCurrent(joining);
    } catch (error) {
      // While the connection is down its return takes care of them; when it never came up, nobody will.
      if (!this.#client.ready) for (const taskId of joining) this.#waiters.fail(taskId, error as Error);
    }
  }

  /** What was stored before the subscription stood was published to nobody. */
  async #tellCurrent(taskIds: readonly string[]): Promise<void> {
    const waited = taskIds.filter((taskId) => this.#waiters.has(taskId));
    for (const meta of await this.#context.readAll(waited)) {
      if (meta.status !== "PENDING") this.#waiters.tell(meta);
    }
  }

  #onReady(redis: Redis): void {
    redis.on("messageBuffer", (channel: Buffer, text: Buffer) => this.#onMessage(channel, text));
    const taskIds = [...this.#joined];
    if (taskIds.length === 0) return;
    redis
      .subscribe(...taskIds.map(this.#context.key))
      .then(() => this.#tellCurrent(taskIds))
      // The connection broke again: the next one starts over.
      .catch(() => undefined);
  }

  #onMessage(channel: Buffer, text: Buffer): void {
    const taskId = this.#context.taskId(channel.toString());
    try {
      this.#waiters.tell(this.#context.read(text, taskId));
    } catch (error) {
      this.#waiters.fail(taskId, error as Error);
    }
  }
}
