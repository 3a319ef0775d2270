import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type { Message } from "../../../protocol/message/message.ts";
import type { Exchange, Queue, Route } from "../../../protocol/transport/entities.ts";
import { dumpBinding, type RedisNames, readBinding, redisNames } from "../../../protocol/transport/redis.ts";
import { dumpEnvelope, envelopeProperties, lookup, topicPattern } from "../../../protocol/transport/virtual.ts";
import { OperationalError } from "../../app/errors.ts";
import { asBuffer } from "../../buffer.ts";
import { RedisClient } from "../../redis/client.ts";
import { redisAddresses } from "../../redis/url.ts";
import type { Broker, BrokerOptions, ConsumeOptions, Consumer } from "../broker.ts";
import { withDeadline } from "../deadline.ts";
import { RedisConsumer } from "./consumer.ts";
import { type RedisTransportOptions, redisTransportOptions } from "./options.ts";
import { RedisPublisher } from "./publisher.ts";
import { type ScriptedRedis, withScripts } from "./scripts.ts";
import { RedisSubscriber } from "./subscriber.ts";
import { Unacked } from "./unacked.ts";

/** How long an exchange's bindings are kept for a queue that expires: twice that, and an hour at least. */
const SHORTEST_BINDING_MS = 3_600_000;

/** A command that is not answered for this long means that the connection is dead. */
const UNANSWERED_MS = 15_000;

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
  readonly #exchanges = new Map<string, Exchange>();
  readonly #queues = new Map<string, Queue>();
  #scripted: ScriptedRedis | undefined;
  #tracking = false;
  #subscribing = false;
  #upkeep: NodeJS.Timeout | undefined;
  #refreshed = 0;
  #bindingsRefreshed = Date.now();
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
    this.#subscriber.onWake = () => {
      void this.#track();
      for (const consumer of this.#consumers) consumer.wake();
    };
    this.#publisher = new RedisPublisher(this.#client);
    this.#unacked = new Unacked(this.#names, (exchange, key) => this.#lookup(exchange, key), options.log);
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
    this.#exchanges.set(exchange.name, exchange);
  }

  async declare(queue: Queue): Promise<void> {
    if (this.#queues.has(queue.name)) return;
    await this.#bindAll(await this.#whenReady(this.#timeoutMs), queue);
    this.#queues.set(queue.name, queue);
  }

  publish(message: Message, route: Route, timeoutMs: number): Promise<void> {
    const { bodyEncoding } = this.#transportOptions;
    const properties = envelopeProperties(message.properties, randomUUID(), route, bodyEncoding);
    const text = dumpEnvelope({
      body: asBuffer(message.body).toString(bodyEncoding ?? "utf8"),
      contentType: message.contentType,
      contentEncoding: message.contentEncoding,
      headers: message.headers,
      properties,
    });
    if (route.exchange === "") return this.#push(route.routingKey, text, Number(properties.priority), timeoutMs);
    return withDeadline(
      this.#route(route, text, Number(properties.priority), timeoutMs),
      timeoutMs,
      `publishing to ${route.exchange}`,
    );
  }

  async consume(queues: readonly Queue[], options: ConsumeOptions): Promise<Consumer> {
    const { visibilityTimeout, queueOrder } = this.#transportOptions;
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
    this.#upkeep ??= setInterval(
      () => void this.#keepUp(),
      Math.min(this.#transportOptions.restoreInterval, visibilityTimeout / 3) * 1000,
    );
    return consumer;
  }

  async purge(queue: string): Promise<number> {
    const redis = await this.#whenReady(this.#timeoutMs);
    const lists = this.#names.lists(queue);
    const pipeline = redis.multi();
    for (const list of lists) pipeline.llen(list);
    pipeline.del(...lists);
    const replies = (await pipeline.exec()) ?? [];
    return replies.slice(0, lists.length).reduce((sum, [, length]) => sum + Number(length), 0);
  }

  async size(queue: string): Promise<number> {
    const redis = await this.#whenReady(this.#timeoutMs);
    const lengths = await Promise.all(this.#names.lists(queue).map((list) => redis.llen(list)));
    return lengths.reduce((sum, length) => sum + length, 0);
  }

  async deleteQueue(queue: Queue): Promise<void> {
    const redis = await this.#whenReady(this.#timeoutMs);
    this.#queues.delete(queue.name);
    for (const { exchange, member } of bindings(queue)) {
      await redis.srem(this.#names.bindings(exchange), member);
      await redis.srem(this.#names.permanentBindings(exchange), member);
    }
    await redis.del(...this.#names.lists(queue.name));
  }

  async close(timeoutMs = 5000): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#upkeep);
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

  #onReady(redis: Redis): void {
    this.#scripted = withScripts(redis);
    this.#tracking = false;
    void this.#track();
    for (const queue of this.#queues.values()) this.#bindAll(this.#scripted, queue).catch(() => undefined);
    for (const consumer of this.#consumers) consumer.wake();
    this.onStateChange?.(true);
  }

  #onLost(error: Error): void {
    this.#tracking = false;
    for (const consumer of this.#consumers) consumer.wake();
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
      await redis.call("CLIENT", "TRACKING", "ON", "REDIRECT", String(id), "OPTIN", "NOLOOP");
      this.#tracking = true;
      for (const consumer of this.#consumers) consumer.wake();
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
    if (this.#exchanges.get(exchange)?.type === "fanout") {
      const redis = await this.#whenReady(timeoutMs);
      await redis.publish(this.#names.channel(exchange, routingKey), text).catch((error: Error) => {
        throw new OperationalError(`publishing to ${exchange}: ${error.message}`, { cause: error });
      });
      return;
    }
    const queues = await this.#lookup(exchange, routingKey);
    await Promise.all(Array.from(queues, (queue) => this.#push(queue, text, priority, timeoutMs)));
  }

  async #lookup(exchange: string, routingKey: string): Promise<ReadonlySet<string>> {
    const redis = await this.#whenReady(this.#timeoutMs);
    const members = await redis.smembers(this.#names.bindings(exchange));
    const table = members.map((member) => readBinding(member, this.#transportOptions.names.separator));
    const declared = this.#exchanges.get(exchange)?.type;
    const type = declared ?? (table.some(({ pattern }) => pattern !== "") ? "topic" : "direct");
    return lookup(table, type, routingKey);
  }

  async #bindAll(redis: ScriptedRedis, queue: Queue): Promise<void> {
    this.#exchanges.set(queue.exchange.name, queue.exchange);
    for (const { exchange } of queue.bindings ?? []) this.#exchanges.set(exchange.name, exchange);
    const expires = queue.arguments["x-expires"];
    for (const { exchange, member } of bindings(queue, this.#transportOptions.names.separator)) {
      const key = this.#names.bindings(exchange);
      if (typeof expires === "number") {
        const keepMs = Math.max(2 * expires, SHORTEST_BINDING_MS);
        await redis.celeriacBindExpiring(key, this.#names.bindingDeadlines, member, exchange, keepMs);
      } else {
        await Promise.all([redis.sadd(key, member), redis.sadd(this.#names.permanentBindings(exchange), member)]);
      }
    }
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

  /** Every few seconds: keeps what is held from being taken for abandoned, and restores what is. */
  async #keepUp(): Promise<void> {
    if (!this.#client.ready) return;
    const redis = this.#scripted as ScriptedRedis;
    const { visibilityTimeout } = this.#transportOptions;
    const now = Date.now() / 1000;
    const work = async (): Promise<void> => {
      if (now - this.#refreshed >= visibilityTimeout / 3) {
        const tags = [...this.#consumers].flatMap((consumer) => consumer.heldTags());
        await this.#unacked.refresh(redis, tags, now);
        this.#refreshed = now;
      }
      await this.#refreshBindings(redis);
      while ((await this.#unacked.restoreAbandoned(redis, visibilityTimeout, now)) === 50);
    };
    try {
      await withDeadline(work(), UNANSWERED_MS, "looking after held messages");
    } catch (error) {
      // Whatever else it was, the next turn tries again; a connection that does not answer is given up.
      if (error instanceof OperationalError) this.#client.reset(error);
    }
  }

  /** Says that the bindings of consumed queues which expire are still in use. */
  async #refreshBindings(redis: ScriptedRedis): Promise<void> {
    if (Date.now() - this.#bindingsRefreshed < SHORTEST_BINDING_MS / 3) return;
    this.#bindingsRefreshed = Date.now();
    const consumed = new Set([...this.#consumers].flatMap((consumer) => consumer.queues));
    for (const name of consumed) {
      const queue = this.#queues.get(name);
      if (queue?.arguments["x-expires"] !== undefined) await this.#bindAll(redis, queue);
    }
  }
}

/** The bindings of a queue as they are stored; none on the default exchange. */
function bindings(queue: Queue, separator?: string): { exchange: string; member: string }[] {
  const first = { exchange: queue.exchange, routingKey: queue.routingKey };
  return [first, ...(queue.bindings ?? [])]
    .filter(({ exchange }) => exchange.name !== "")
    .map(({ exchange, routingKey }) => ({
      exchange: exchange.name,
      member: dumpBinding(
        { routingKey, pattern: exchange.type === "topic" ? topicPattern(routingKey) : "", queue: queue.name },
        separator,
      ),
    }));
}
