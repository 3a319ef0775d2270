import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type { Message } from "../../../protocol/message/message.ts";
import type { Exchange, Queue, Route } from "../../../protocol/transport/entities.ts";
import { type RedisNames, redisNames } from "../../../protocol/transport/redis.ts";
import { OperationalError } from "../../app/errors.ts";
import { RedisClient } from "../../redis/client.ts";
import { redisAddresses } from "../../redis/url.ts";
import type { Broker, BrokerOptions, ConsumeOptions, Consumer } from "../broker.ts";
import { withDeadline } from "../deadline.ts";
import { envelopeText } from "../virtual.ts";
import { RedisBindings } from "./bindings.ts";
import { RedisConsumer } from "./consumer.ts";
import { type RedisTransportOptions, redisTransportOptions } from "./options.ts";
import { RedisPublisher } from "./publisher.ts";
import { type ScriptedRedis, withScripts } from "./scripts.ts";
import { RedisSubscriber } from "./subscriber.ts";
import { Unacked } from "./unacked.ts";
import { RedisUpkeep } from "./upkeep.ts";

/** kombu's Redis transport: the same keys, texts and channels. Mirrors `kombu/transport/redis.py`. */
export class RedisBroker implements Broker {
  readonly transport = "redis";
  onStateChange: ((connected: boolean, error?: Error) => void) | undefined;
  readonly #options: BrokerOptions;
  readonly #transportOptions: RedisTransportOptions;
  readonly #names: RedisNames;
  readonly #client: RedisClient;
  readonly #subscriber: RedisSubscriber;
  readonly #publisher: RedisPublisher;
  readonly #unacked: Unacked;
  readonly #consumers = new Set<RedisConsumer>();
  readonly #bindings: RedisBindings;
  readonly #upkeep: RedisUpkeep;
  readonly #queues = new Map<string, Queue>();
  #scripted: ScriptedRedis | undefined;
  #tracking = false;
  #subscribing = false;
  #closed = false;

  /** @throws ImproperlyConfigured when a URL or a transport option cannot be used */
  constructor(options: BrokerOptions) {
    this.#options = options;
    const addresses = redisAddresses(options.urls, options);
    this.#transportOptions = redisTransportOptions(options.transportOptions, addresses[0]?.db ?? 0);
    this.#names = redisNames(this.#transportOptions.names);
    const common = { addresses, connectTimeoutMs: options.connectionTimeout * 1000 };
    this.#client = new RedisClient({
      ...common,
      name: options.clientName,
      onReady: (redis) => this.#onReady(redis),
      onLost: (error) => this.#onLost(error),
    });
    this.#subscriber = new RedisSubscriber({ ...common, name: `${options.clientName}:subscriber` });
    this.#subscriber.onChange = () => this.#wakeConsumers();
    this.#subscriber.onClientId = () => {
      void this.#track();
      this.#wakeConsumers();
    };
    this.#publisher = new RedisPublisher(this.#client);
    this.#bindings = new RedisBindings(
      this.#names,
      this.#transportOptions.names.separator,
      options.bindingDeadlines ?? true,
    );
    const lookup = async (exchange: string, routingKey: string): Promise<ReadonlySet<string>> =>
      this.#bindings.lookup(await this.#whenReady(this.#timeoutMs), exchange, routingKey);
    this.#unacked = new Unacked(this.#names, lookup, options.log);
    this.#upkeep = this.#makeUpkeep();
  }

  get url(): string {
    return this.#client.url;
  }

  get connected(): boolean {
    return this.#client.ready;
  }

  async connect(signal?: AbortSignal): Promise<void> {
    await this.#client.connect(signal);
  }

  async declareExchange(exchange: Exchange): Promise<void> {
    this.#bindings.declareExchange(exchange);
  }

  async declare(queue: Queue): Promise<void> {
    if (this.#queues.has(queue.name)) return;
    await this.#attempt(`declaring ${queue.name}`, (redis) => this.#bindings.bind(redis, queue));
    this.#queues.set(queue.name, queue);
  }

  publish(message: Message, route: Route, timeoutMs: number): Promise<void> {
    const { bodyEncoding } = this.#transportOptions;
    const text = envelopeText(message, route, randomUUID(), bodyEncoding);
    const priority = Number(message.properties.priority ?? 0);
    if (route.exchange === "") return this.#push(route.routingKey, text, priority, timeoutMs);
    return withDeadline(this.#route(route, text, priority, timeoutMs), timeoutMs, `publishing to ${route.exchange}`);
  }

  announce(message: Message, exchange: string, timeoutMs: number): Promise<number> {
    const what = `publishing to ${exchange}`;
    const route = { exchange, routingKey: "" };
    const text = envelopeText(message, route, randomUUID(), this.#transportOptions.bodyEncoding);
    const channel = this.#names.channel(exchange);
    return withDeadline(
      this.#attempt(what, (redis) => redis.publish(channel, text), timeoutMs),
      timeoutMs,
      what,
    );
  }

  async consume(queues: readonly Queue[], options: ConsumeOptions): Promise<Consumer> {
    const { queueOrder } = this.#transportOptions;
    const consumer = new RedisConsumer(
      {
        names: this.#names,
        queueOrder,
        unacked: this.#unacked,
        log: this.#options.log,
        isTracking: () => this.#tracking,
        whenReady: () => this.#whenReady(0x7fffffff),
        open: (queue, onMessage) => this.#open(queue, onMessage),
        onClosed: (closed) => this.#consumers.delete(closed),
      },
      options,
    );
    for (const queue of queues) await consumer.addQueue(queue);
    this.#consumers.add(consumer);
    if (!this.#subscribing) {
      this.#subscribing = true;
      // Consuming does not wait for it: until it is there, the lists are looked at.
      this.#subscriber.open(this.#timeoutMs).catch(() => undefined);
    }
    consumer.start();
    this.#upkeep.start();
    return consumer;
  }

  async purge(queue: string): Promise<number> {
    const lists = this.#names.lists(queue);
    const replies = await this.#attempt(`purging ${queue}`, async (redis) => {
      const pipeline = redis.multi();
      for (const list of lists) pipeline.llen(list);
      pipeline.del(...lists);
      return (await pipeline.exec()) ?? [];
    });
    return replies.slice(0, lists.length).reduce((sum, [, length]) => sum + Number(length), 0);
  }

  async size(queue: string): Promise<number> {
    const lengths = await this.#attempt(`asking for the size of ${queue}`, (redis) =>
      Promise.all(this.#names.lists(queue).map((list) => redis.llen(list))),
    );
    return lengths.reduce((sum, length) => sum + length, 0);
  }

  async deleteQueue(queue: Queue): Promise<void> {
    await this.#attempt(`deleting ${queue.name}`, async (redis) => {
      this.#queues.delete(queue.name);
      await this.#bindings.unbind(redis, queue);
      await redis.del(...this.#names.lists(queue.name));
    });
  }

  async close(timeoutMs = 5000): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#upkeep.stop();
    const closing = Promise.allSettled([...this.#consumers].map((consumer) => consumer.close()));
    if (this.connected) await withDeadline(closing, timeoutMs, "closing consumers").catch(() => undefined);
    await Promise.all([this.#client.close(timeoutMs), this.#subscriber.close()]);
    await closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #timeoutMs(): number {
    return this.#options.connectionTimeout * 1000;
  }

  async #whenReady(timeoutMs: number): Promise<ScriptedRedis> {
    if (!this.#client.ready) await this.#client.whenReady(timeoutMs);
    return this.#scripted as ScriptedRedis;
  }

  /**
   * Runs commands. A connection may be lost and not yet known to be: what the driver then says becomes an
   * OperationalError, after which the caller's retry policy tries again.
   */
  async #attempt<T>(
    what: string,
    commands: (redis: ScriptedRedis) => Promise<T>,
    timeoutMs = this.#timeoutMs,
  ): Promise<T> {
    const redis = await this.#whenReady(timeoutMs);
    try {
      return await commands(redis);
    } catch (error) {
      if (error instanceof OperationalError) throw error;
      throw new OperationalError(`${what}: ${(error as Error).message}`, { cause: error });
    }
  }

  #onReady(redis: Redis): void {
    this.#scripted = withScripts(redis);
    this.#tracking = false;
    void this.#track();
    for (const queue of this.#queues.values()) this.#bindings.bind(this.#scripted, queue).catch(() => undefined);
    this.#wakeConsumers();
    this.onStateChange?.(true);
  }

  #onLost(error: Error): void {
    this.#tracking = false;
    this.#wakeConsumers();
    if (!this.#closed) this.onStateChange?.(false, error);
  }

  /** Has Redis send word of changes to the subscriber. A server that cannot is looked at more often instead. */
  async #track(): Promise<void> {
    const id = this.#subscriber.clientId;
    const redis = this.#scripted;
    if (id === undefined || !redis || !this.#client.ready) {
      this.#tracking = false;
      return;
    }
    try {
      await redis.call("CLIENT", "TRACKING", "OFF");
      await redis.call("CLIENT", "TRACKING", "ON", "REDIRECT", String(id), "OPTIN");
      this.#tracking = true;
      this.#wakeConsumers();
    } catch (error) {
      this.#tracking = false;
      if (this.#client.ready) {
        this.#options.log.info(
          { err: error },
          "This Redis has no CLIENT TRACKING: idle queues are looked at 20 times a second",
        );
      }
    }
  }

  #push(queue: string, text: string, priority: number, timeoutMs: number): Promise<void> {
    const expires = this.#queues.get(queue)?.arguments["x-expires"];
    return this.#publisher.push(
      this.#names.list(queue, priority),
      text,
      timeoutMs,
      typeof expires === "number" ? expires : undefined,
    );
  }

  async #route({ exchange, routingKey }: Route, text: string, priority: number, timeoutMs: number): Promise<void> {
    const what = `publishing to ${exchange}`;
    if (this.#bindings.isFanout(exchange)) {
      const channel = this.#names.channel(exchange, routingKey);
      await this.#attempt(what, (redis) => redis.publish(channel, text), timeoutMs);
      return;
    }
    const lookup = (redis: ScriptedRedis): Promise<ReadonlySet<string>> =>
      this.#bindings.lookup(redis, exchange, routingKey);
    const queues = await this.#attempt(what, lookup, timeoutMs);
    await Promise.all(Array.from(queues, (queue) => this.#push(queue, text, priority, timeoutMs)));
  }

  #makeUpkeep(): RedisUpkeep {
    const { visibilityTimeout, restoreInterval } = this.#transportOptions;
    return new RedisUpkeep({
      unacked: this.#unacked,
      visibilityTimeout,
      interval: Math.min(restoreInterval, visibilityTimeout / 3),
      redis: () => (this.#client.ready ? this.#scripted : undefined),
      heldTags: () => [...this.#consumers].flatMap((consumer) => consumer.heldTags()),
      refreshBindings: (redis) => this.#bindings.refresh(redis, this.#consumedQueues()),
      onRestored: () => this.#wakeConsumers(),
      onUnanswered: (error) => this.#client.reset(error),
    });
  }

  #consumedQueues(): Queue[] {
    const names = new Set([...this.#consumers].flatMap((consumer) => consumer.queues));
    return [...this.#queues.values()].filter((queue) => names.has(queue.name));
  }

  #wakeConsumers(): void {
    for (const consumer of this.#consumers) consumer.wake();
  }

  /** Makes a queue ready to be consumed; a fanout queue is a channel to listen on. */
  async #open(queue: Queue, onMessage: (text: string) => void): Promise<(() => Promise<void>) | undefined> {
    await this.declare(queue);
    if (queue.exchange.type !== "fanout") return undefined;
    const channel = this.#names.channel(queue.exchange.name, queue.routingKey);
    const stop = await this.#subscriber.subscribe(channel, onMessage, this.#timeoutMs);
    return async () => {
      await stop();
      if (queue.autoDelete && this.#client.ready) await this.deleteQueue(queue).catch(() => undefined);
    };
  }
}
