import type { Queue } from "../../../protocol/transport/entities.ts";
import { queueOf } from "../../../protocol/transport/filesystem.ts";
import { readEnvelope } from "../../../protocol/transport/virtual.ts";
import type { ConsumeOptions, Consumer } from "../broker.ts";
import { type Settlement, VirtualDelivery } from "../virtual.ts";
import type { Claims } from "./claims.ts";
import type { QueueFolder } from "./queue-folder.ts";

/** What a consumer needs of its broker. */
export interface FilesystemConsumerContext {
  queues: QueueFolder;
  claims: Claims;
  declare(queue: Queue): Promise<void>;
  /** Drops a queue that was its consumer's own. */
  remove(queue: Queue): Promise<void>;
  onError(error: Error): void;
  onClosed(consumer: FilesystemConsumer): void;
}

/** Takes messages from the folder in turn, no more than its prefetch allows; told by {@link wake} when to look. */
export class FilesystemConsumer implements Consumer, Settlement {
  readonly #context: FilesystemConsumerContext;
  readonly #options: ConsumeOptions;
  readonly #queues = new Map<string, Queue>();
  readonly #held = new Set<string>();
  /** Files seen by the last look and not tried yet. */
  #seen: string[] = [];
  #prefetch: number;
  #cancelled = false;
  #closed = false;
  #wakened = false;
  #running: Promise<void> | undefined;
  #settling: Promise<void> = Promise.resolve();

  constructor(context: FilesystemConsumerContext, options: ConsumeOptions) {
    this.#context = context;
    this.#options = options;
    this.#prefetch = options.prefetch;
  }

  get queues(): string[] {
    return [...this.#queues.keys()];
  }

  get unsettled(): number {
    return this.#held.size;
  }

  /** Something may have come, or there is room again. */
  wake(): void {
    if (this.#cancelled) return;
    this.#wakened = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#wakened && this.#hasRoom) this.wake();
    });
  }

  /** True for a file that this consumer would take. */
  wants(file: string): boolean {
    const queue = queueOf(file);
    return queue !== undefined && this.#queues.has(queue);
  }

  async addQueue(queue: Queue): Promise<void> {
    await this.#context.declare(queue);
    this.#queues.set(queue.name, queue);
    this.wake();
  }

  async cancelQueue(name: string): Promise<void> {
    const queue = this.#queues.get(name);
    this.#queues.delete(name);
    if (queue?.autoDelete) await this.#context.remove(queue);
  }

  setPrefetch(prefetch: number): void {
    this.#prefetch = prefetch;
    this.wake();
  }

  settle(file: string, how: "ack" | "requeue"): void {
    if (!this.#held.delete(file)) return;
    const { claims } = this.#context;
    const settled = how === "ack" ? claims.drop(file) : claims.putBack(file, "last");
    this.#settling = Promise.all([this.#settling, settled.catch(this.#context.onError)]).then(() => undefined);
    this.wake();
  }

  async cancel(): Promise<void> {
    this.#cancelled = true;
    await this.#running;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.cancel();
    await this.#settling;
    for (const file of this.#held) await this.#context.claims.putBack(file, "first").catch(this.#context.onError);
    this.#held.clear();
    for (const queue of this.#queues.values()) if (queue.autoDelete) await this.#context.remove(queue);
    this.#context.onClosed(this);
  }

  get #hasRoom(): boolean {
    return !this.#cancelled && (this.#prefetch === 0 || this.#held.size < this.#prefetch);
  }

  async #run(): Promise<void> {
    try {
      while (this.#hasRoom && (this.#seen.length > 0 || (await this.#look()))) await this.#takeNext();
    } catch (error) {
      this.#context.onError(error as Error);
    }
  }

  /** Lists the folder once for each time that it was told to. */
  async #look(): Promise<boolean> {
    if (!this.#wakened) return false;
    this.#wakened = false;
    // Taken from the end.
    this.#seen = (await this.#context.queues.list(new Set(this.#queues.keys()))).reverse();
    return this.#seen.length > 0;
  }

  async #takeNext(): Promise<void> {
    const file = this.#seen.pop() ?? "";
    const queue = queueOf(file);
    if (queue === undefined || !this.#queues.has(queue)) return;
    const text = await this.#context.claims.take(file);
    if (text === undefined) return;
    // There may be more to come: a look is cheap, and nobody tells twice.
    this.#wakened = true;
    await this.#deliver(file, queue, text);
  }

  async #deliver(file: string, queue: string, text: string): Promise<void> {
    const { claims } = this.#context;
    const { noAck, onDelivery, onUnreadable } = this.#options;
    let delivery: VirtualDelivery;
    try {
      delivery = new VirtualDelivery(readEnvelope(text), queue, file, noAck ? null : this);
    } catch (error) {
      await claims.setAside(file);
      onUnreadable({ queue, text: text.slice(0, 1000), error: error as Error });
      return;
    }
    if (noAck) await claims.drop(file);
    else this.#held.add(file);
    onDelivery(delivery);
  }
}
