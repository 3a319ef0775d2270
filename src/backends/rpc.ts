import { randomUUID } from "node:crypto";
import { pendingMeta, readMeta, type TaskMeta } from "../../protocol/result/meta.ts";
import type { ResultNode } from "../../protocol/result/result-tuple.ts";
import { READY_STATES } from "../../protocol/result/states.ts";
import { exchange, type Queue, queue } from "../../protocol/transport/entities.ts";
import { ImproperlyConfigured, NotImplementedError, OperationalError } from "../app/errors.ts";
import type { Consumer, Delivery } from "../brokers/broker.ts";
import type { BackendOptions, ReplyAddress, ResultBackend } from "./backend.ts";
import { Waiters } from "./waiters.ts";

/** Records kept for those who ask later: the oldest make room. */
const KEPT = 10_000;

/** What Celery says, word for word: people look for it. */
const NO_CHORDS = `The "rpc" result backend does not support chords!

Note that a group chained with a task is also upgraded to be a chord,
as this pattern requires synchronization.

Result backends that supports chords: Redis, Database, Memcached, and more.`;

/** Milliseconds that sending one result may take. */
const PUBLISH_TIMEOUT_MS = 10_000;

/**
 * Results as messages to whoever sent the task: one queue for the whole process, one consumer for all who wait.
 * Mirrors `celery/backends/rpc.py`.
 */
export class RpcBackend implements ResultBackend {
  readonly url = "rpc://";
  readonly persistent = false;
  readonly supportsResultCompression = false;
  readonly chords = undefined;
  readonly replyTo: string;
  readonly #options: BackendOptions;
  readonly #queue: Queue;
  readonly #records = new Map<string, TaskMeta>();
  readonly #waiters: Waiters;
  #consumer: Promise<Consumer> | undefined;
  #closed = false;

  constructor(options: BackendOptions) {
    this.#options = options;
    this.replyTo = options.replyTo;
    this.#queue = queue(options.replyTo, {
      exchange: exchange(""),
      durable: options.replyQueueDurable,
      autoDelete: true,
      arguments: options.expires ? { "x-expires": Math.trunc(options.expires * 1000) } : {},
    });
    this.#waiters = new Waiters(
      (taskId) => this.#listen().catch((error: Error) => this.#waiters.fail(taskId, error)),
      () => undefined,
    );
  }

  /** The queue must be there before a task is sent whose result goes to it. */
  async prepare(): Promise<void> {
    await this.#listen();
  }

  async storeResult(meta: TaskMeta, { replyTo, correlationId }: ReplyAddress): Promise<void> {
    const { codec, resultPersistent } = this.#options;
    const body = codec.encode(meta);
    if (!replyTo) return;
    const broker = await this.#options.broker();
    await broker.publish(
      {
        body,
        contentType: codec.contentType,
        contentEncoding: codec.contentEncoding,
        headers: {},
        properties: {
          correlation_id: correlationId ?? meta.task_id,
          delivery_mode: resultPersistent ? 2 : 1,
          priority: 0,
        },
      },
      { exchange: "", routingKey: replyTo },
      PUBLISH_TIMEOUT_MS,
    );
  }

  ensureChordsAllowed(): void {
    throw new NotImplementedError(NO_CHORDS);
  }

  async getTaskMeta(taskId: string): Promise<TaskMeta> {
    await this.#listen();
    return this.#records.get(taskId) ?? pendingMeta(taskId);
  }

  wait(taskId: string, signal: AbortSignal, onState?: (meta: TaskMeta) => void): Promise<TaskMeta> {
    if (this.#closed) return Promise.reject(new OperationalError("the result backend is closed"));
    const waiting = this.#waiters.wait(taskId, signal, onState);
    const known = this.#records.get(taskId);
    if (known) this.#waiters.tell(known);
    return waiting;
  }

  async forget(taskId: string): Promise<void> {
    this.#records.delete(taskId);
  }

  saveGroup(): Promise<void> {
    return noGroups();
  }

  restoreGroup(): Promise<ResultNode | null> {
    return noGroups();
  }

  deleteGroup(): Promise<void> {
    return noGroups();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiters.failAll(new OperationalError("the result backend was closed before the result came"));
    const consumer = await this.#consumer?.catch(() => undefined);
    await consumer?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Consumes from the queue, from the first time on that anybody needs it. @throws OperationalError */
  #listen(): Promise<Consumer> {
    if (this.#closed) return Promise.reject(new OperationalError("the result backend is closed"));
    this.#consumer ??= this.#consume().catch((error: Error) => {
      this.#consumer = undefined;
      throw error;
    });
    return this.#consumer;
  }

  async #consume(): Promise<Consumer> {
    const broker = await this.#options.broker();
    const { log } = this.#options;
    return broker.consume([this.#queue], {
      prefetch: 0,
      noAck: true,
      onDelivery: (delivery) => this.#onResult(delivery),
      onUnreadable: ({ error }) => log.error({ err: error }, `A result that came cannot be read: ${error.message}`),
    });
  }

  #onResult({ message }: Delivery): void {
    const taskId = message.properties.correlation_id || randomUUID();
    try {
      this.#keep(readMeta(this.#options.codec.decodeContent(message), taskId));
    } catch (error) {
      this.#options.log.error({ err: error, id: taskId }, `The result of ${taskId} cannot be read`);
      this.#waiters.fail(taskId, error as Error);
    }
  }

  /** States come in the order in which they were sent; one that is overtaken by the end is not shown again. */
  #keep(meta: TaskMeta): void {
    const before = this.#records.get(meta.task_id);
    if (before && READY_STATES.has(before.status) && !READY_STATES.has(meta.status)) return;
    this.#records.delete(meta.task_id);
    this.#records.set(meta.task_id, meta);
    if (this.#records.size > KEPT) {
      for (const oldest of this.#records.keys()) {
        this.#records.delete(oldest);
        break;
      }
    }
    this.#waiters.tell(meta);
  }
}

function noGroups(): Promise<never> {
  return Promise.reject(
    new ImproperlyConfigured(
      "The rpc:// result backend keeps no groups: results go to the sender alone. Use Redis for groups and chords",
    ),
  );
}
