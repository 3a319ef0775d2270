import { randomUUID } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { mkdir } from "node:fs/promises";
import type { Message } from "../../../protocol/message/message.ts";
import type { Exchange, Queue, Route } from "../../../protocol/transport/entities.ts";
import { OperationalError } from "../../app/errors.ts";
import type { Broker, BrokerOptions, ConsumeOptions, Consumer } from "../broker.ts";
import { withDeadline } from "../deadline.ts";
import { envelopeText } from "../virtual.ts";
import { Claims } from "./claims.ts";
import { FilesystemConsumer } from "./consumer.ts";
import { ExchangeTables } from "./exchange-tables.ts";
import { type Folders, folders } from "./options.ts";
import { QueueFolder } from "./queue-folder.ts";

/** A look in case that the system's word did not come through; where it cannot give it, more often. Milliseconds. */
const SAFETY_LOOK_MS = 1_000;
const BLIND_LOOK_MS = 100;

/** kombu's filesystem transport: queues are files in a folder, shared with Python. Mirrors `kombu/transport/filesystem.py`. */
export class FilesystemBroker implements Broker {
  readonly transport = "filesystem";
  readonly url = "filesystem://";
  onStateChange: Broker["onStateChange"];
  readonly #options: BrokerOptions;
  readonly #folders: Folders;
  readonly #in: QueueFolder;
  readonly #out: QueueFolder;
  readonly #tables: ExchangeTables;
  readonly #claims: Claims;
  readonly #declared = new Set<string>();
  readonly #consumers = new Set<FilesystemConsumer>();
  #connecting: Promise<void> | undefined;
  #connected = false;
  #closed = false;
  #watcher: FSWatcher | undefined;
  #looks: NodeJS.Timeout | undefined;

  /** @throws ImproperlyConfigured when a transport option cannot be used */
  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#folders = folders(options.transportOptions);
    this.#in = new QueueFolder(this.#folders.in);
    this.#out = this.#folders.out === this.#folders.in ? this.#in : new QueueFolder(this.#folders.out);
    this.#tables = new ExchangeTables(this.#folders.control);
    this.#claims = new Claims(this.#in, this.#folders.processed, options.log);
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Makes the folders that are missing, where kombu leaves it to its user. */
  connect(): Promise<void> {
    this.#connecting ??= this.#connect();
    return this.#connecting;
  }

  async #connect(): Promise<void> {
    const { in: taken, out, control, processed } = this.#folders;
    try {
      for (const folder of [taken, out, control, processed]) if (folder) await mkdir(folder, { recursive: true });
    } catch (error) {
      this.#connecting = undefined;
      throw new OperationalError(`Cannot use the folders of filesystem://: ${(error as Error).message}`, {
        cause: error,
      });
    }
    this.#connected = true;
    this.onStateChange?.(true);
  }

  async declareExchange(exchange: Exchange): Promise<void> {
    this.#tables.declareExchange(exchange);
  }

  async declare(queue: Queue): Promise<void> {
    await this.connect();
    if (this.#declared.has(queue.name)) return;
    await this.#tables.bind(queue);
    this.#declared.add(queue.name);
  }

  publish(message: Message, route: Route, timeoutMs: number): Promise<void> {
    return withDeadline(
      this.#publish(message, route),
      timeoutMs,
      `publishing to ${route.exchange || route.routingKey}`,
    );
  }

  async #publish(message: Message, route: Route): Promise<void> {
    if (this.#closed) throw new OperationalError("the connection to filesystem:// is closed");
    await this.connect();
    const text = envelopeText(message, route, randomUUID());
    const { exchange, routingKey } = route;
    const queues = exchange === "" ? [routingKey] : await this.#tables.lookup(exchange, routingKey);
    try {
      for (const queue of queues) await this.#out.put(queue, text);
    } catch (error) {
      const said = `Cannot write to ${this.#folders.out}: ${(error as Error).message}`;
      throw new OperationalError(said, { cause: error });
    }
  }

  async consume(queues: readonly Queue[], options: ConsumeOptions): Promise<Consumer> {
    await this.connect();
    await this.#claims.open();
    const consumer = new FilesystemConsumer(
      {
        queues: this.#in,
        claims: this.#claims,
        declare: (queue) => this.declare(queue),
        remove: (queue) => this.deleteQueue(queue),
        onError: (error) => this.#options.log.error({ err: error }, `filesystem://: ${error.message}`),
        onClosed: (closed) => this.#consumers.delete(closed),
      },
      options,
    );
    this.#watch();
    for (const queue of queues) await consumer.addQueue(queue);
    this.#consumers.add(consumer);
    consumer.wake();
    return consumer;
  }

  async purge(queue: string): Promise<number> {
    await this.connect();
    return this.#in.purge(queue);
  }

  async size(queue: string): Promise<number> {
    await this.connect();
    return (await this.#in.list(new Set([queue]))).length;
  }

  async deleteQueue(queue: Queue): Promise<void> {
    this.#declared.delete(queue.name);
    await this.#tables.unbind(queue);
    await this.#in.purge(queue.name);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#looks);
    this.#watcher?.close();
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    await this.#claims.close();
    this.#connected = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The system says when a file comes; a look from time to time finds what it kept to itself. */
  #watch(): void {
    if (this.#looks) return;
    try {
      this.#watcher = watch(this.#folders.in, { persistent: false }, (_, file) => this.#wake(file));
      this.#watcher.on("error", () => this.#lookOften());
      this.#looks = setInterval(() => this.#wake(null), SAFETY_LOOK_MS);
    } catch {
      this.#lookOften();
    }
  }

  #lookOften(): void {
    clearInterval(this.#looks);
    this.#looks = setInterval(() => this.#wake(null), BLIND_LOOK_MS);
  }

  #wake(file: string | null): void {
    for (const consumer of this.#consumers) if (file === null || consumer.wants(file)) consumer.wake();
  }
}
