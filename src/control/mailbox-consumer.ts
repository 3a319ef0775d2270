import type { Queue } from "../../protocol/transport/entities.ts";
import type { Broker, ConsumeOptions, Consumer } from "../brokers/broker.ts";
import type { Logger } from "../logger.ts";

/** Pause before a mailbox that was another's own is tried again, in milliseconds. */
const PAUSE_MS = 2000;

/**
 * Takes what comes to a worker's mailbox. On RabbitMQ that is a queue of one connection's own from Celery 5.7 on: while
 * another connection has it, which may be that of a node that went away just now, the worker does without, and tries
 * again until it is free.
 */
export class MailboxConsumer {
  readonly #broker: Broker;
  readonly #queue: Queue;
  readonly #options: ConsumeOptions;
  readonly #log: Logger;
  #consumer: Consumer | undefined;
  #retry: NodeJS.Timeout | undefined;
  #trying: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(broker: Broker, queue: Queue, options: ConsumeOptions, log: Logger) {
    this.#broker = broker;
    this.#queue = queue;
    this.#options = options;
    this.#log = log;
  }

  /** @throws OperationalError when the mailbox cannot be had for another reason than that another has it */
  async start(): Promise<void> {
    try {
      await this.#consume();
    } catch (error) {
      if (!isLocked(error)) throw error;
      this.#log.warn(
        { queue: this.#queue.name },
        `The mailbox ${this.#queue.name} belongs to another connection: a node of this name is running, or went away just now. Remote control begins when it is free.`,
      );
      this.#tryLater();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#trying;
    await this.#consumer?.close();
  }

  async #consume(): Promise<void> {
    this.#consumer = await this.#broker.consume([this.#queue], this.#options);
  }

  #tryLater(): void {
    if (this.#closed) return;
    this.#retry = setTimeout(() => {
      this.#trying = this.#tryAgain();
    }, PAUSE_MS);
  }

  async #tryAgain(): Promise<void> {
    try {
      await this.#consume();
      this.#log.info({ queue: this.#queue.name }, `The mailbox ${this.#queue.name} is free: remote control has begun.`);
    } catch {
      // Said once; a broker that went away is told of elsewhere.
      this.#tryLater();
    }
  }
}

/** RabbitMQ's 405 RESOURCE_LOCKED. */
function isLocked(error: unknown): boolean {
  const { cause } = error as { cause?: unknown };
  return (cause as { code?: unknown } | undefined)?.code === 405;
}
