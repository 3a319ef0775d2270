import type { Redis } from "ioredis";
import type { TaskMeta } from "../../../protocol/result/meta.ts";
import { RedisClient, type RedisClientOptions } from "../../redis/client.ts";
import { Waiters } from "../waiters.ts";

/** How long a channel is kept that nobody waits at, so that many are left in one step; milliseconds. */
const LEAVE_AFTER_MS = 100;

/** What the subscription needs of the backend. */
export interface SubscriptionContext {
  key(taskId: string): string;
  taskId(key: string): string;
  /** Undoes the compression of what was stored, where there is any. */
  unpack(stored: Buffer): Uint8Array | Promise<Uint8Array>;
  read(text: Uint8Array, taskId: string): TaskMeta;
  /** The records that are there now, PENDING for those that are not; for one that cannot be read, why. */
  readAll(taskIds: readonly string[]): Promise<(TaskMeta | Error)[]>;
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
  /** Records that are being inflated: they are told in the order in which they came. */
  #unpacking: Promise<void> | undefined;
  #joinScheduled = false;
  #leaveTimer: NodeJS.Timeout | undefined;
  #used = false;
  #wasReady = false;

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
    clearTimeout(this.#leaveTimer);
    if (this.#used) await this.#client.close(200);
  }

  /** Also for a channel that is about to be left: its record has to be read again. */
  #join(taskId: string): void {
    this.#leaving.delete(taskId);
    this.#joining.add(taskId);
    if (this.#joinScheduled) return;
    this.#joinScheduled = true;
    process.nextTick(() => {
      this.#joinScheduled = false;
      void this.#subscribe([...this.#joining]);
    });
  }

  #leave(taskId: string): void {
    if (this.#joining.delete(taskId)) return;
    this.#leaving.add(taskId);
    this.#leaveTimer ??= setTimeout(() => this.#unsubscribe(), LEAVE_AFTER_MS).unref();
  }

  /** Channels are joined together, once in each turn of the event loop. */
  async #subscribe(taskIds: string[]): Promise<void> {
    this.#used = true;
    this.#joining.clear();
    for (const taskId of taskIds) this.#joined.add(taskId);
    if (this.#client.ready) return this.#follow(this.#client.redis, taskIds);
    try {
      // Once it is there, whatever was joined by then is followed.
      await this.#client.whenReady(this.#timeoutMs);
    } catch (error) {
      // A connection that was there comes back; one that never was is given up.
      if (!this.#wasReady) this.#fail(taskIds, error as Error);
    }
  }

  /**
   * Subscribes, then tells what is there by now, however often it takes: what was stored before the subscription stood
   * was published to nobody. When the connection breaks meanwhile, the next one begins anew.
   */
  async #follow(redis: Redis, taskIds: readonly string[]): Promise<void> {
    const isCurrent = (): boolean => this.#client.ready && this.#client.redis === redis;
    try {
      await redis.subscribe(...taskIds.map(this.#context.key));
    } catch (error) {
      if (isRefusal(error)) this.#fail(taskIds, error as Error);
      return;
    }
    for (let pause = 50; isCurrent(); pause = Math.min(1000, pause * 2)) {
      try {
        return await this.#tellCurrent(taskIds);
      } catch (error) {
        if (isRefusal((error as Error).cause)) return this.#fail(taskIds, error as Error);
        await new Promise((resolve) => setTimeout(resolve, pause).unref());
      }
    }
  }

  #fail(taskIds: readonly string[], error: Error): void {
    for (const taskId of taskIds) {
      this.#joined.delete(taskId);
      this.#waiters.fail(taskId, error);
    }
  }

  #unsubscribe(): void {
    this.#leaveTimer = undefined;
    const taskIds = [...this.#leaving];
    this.#leaving.clear();
    for (const taskId of taskIds) this.#joined.delete(taskId);
    if (taskIds.length === 0 || !this.#client.ready) return;
    this.#client.redis.unsubscribe(...taskIds.map(this.#context.key)).catch(() => undefined);
  }

  async #tellCurrent(taskIds: readonly string[]): Promise<void> {
    const waited = taskIds.filter((taskId) => this.#waiters.has(taskId));
    for (const [position, meta] of (await this.#context.readAll(waited)).entries()) {
      if (meta instanceof Error) this.#waiters.fail(waited[position] as string, meta);
      else if (meta.status !== "PENDING") this.#waiters.tell(meta);
    }
  }

  #onReady(redis: Redis): void {
    redis.on("messageBuffer", (channel: Buffer, text: Buffer) => this.#onMessage(channel, text));
    this.#wasReady = true;
    if (this.#joined.size > 0) void this.#follow(redis, [...this.#joined]);
  }

  #onMessage(channel: Buffer, stored: Buffer): void {
    const taskId = this.#context.taskId(channel.toString());
    try {
      const text = this.#context.unpack(stored);
      if (text instanceof Uint8Array && !this.#unpacking) this.#waiters.tell(this.#context.read(text, taskId));
      else this.#tellInTurn(taskId, text);
    } catch (error) {
      this.#waiters.fail(taskId, error as Error);
    }
  }

  #tellInTurn(taskId: string, text: Uint8Array | Promise<Uint8Array>): void {
    const turn = Promise.all([text, this.#unpacking])
      .then(([inflated]) => this.#waiters.tell(this.#context.read(inflated, taskId)))
      .catch((error: Error) => this.#waiters.fail(taskId, error))
      .finally(() => {
        if (this.#unpacking === turn) this.#unpacking = undefined;
      });
    this.#unpacking = turn;
  }
}

/** What the server says no to now and will say no to again, which a connection that broke is not. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error) || error.name !== "ReplyError") return false;
  return !/^(?:LOADING|MASTERDOWN|READONLY|TRYAGAIN|CLUSTERDOWN)/.test(error.message);
}
