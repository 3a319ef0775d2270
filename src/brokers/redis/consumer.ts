import { randomUUID } from "node:crypto";
import type { Queue } from "../../../protocol/transport/entities.ts";
import type { RedisNames } from "../../../protocol/transport/redis.ts";
import { readEnvelope } from "../../../protocol/transport/virtual.ts";
import { OperationalError } from "../../app/errors.ts";
import type { Logger } from "../../logger.ts";
import type { ConsumeOptions, Consumer } from "../broker.ts";
import { type Settlement, VirtualDelivery } from "../virtual.ts";
import { type QueueOrder, queueOrder } from "./queue-order.ts";
import type { ScriptedRedis } from "./scripts.ts";
import type { Unacked } from "./unacked.ts";

/** How many messages one look takes at the most. */
const TAKE_LIMIT = 100;

/** A look in case that Redis's word did not come through, in milliseconds; where Redis cannot give it, more often. */
const SAFETY_LOOK_MS = 1000;
const BLIND_LOOK_MS = 50;

/** How long a look may wait until it can bring more than a few, in milliseconds. */
const GATHERING_MS = 3;

/** The longest that a consumer which keeps finding others faster steps aside, in milliseconds. */
const LONGEST_STEP_ASIDE_MS = 64;

/** What a consumer needs of its broker. */
export interface RedisConsumerContext {
  names: RedisNames;
  queueOrder: QueueOrder;
  unacked: Unacked;
  log: Logger;
  /** True while Redis tells of changes of the lists. */
  isTracking(): boolean;
  /** The connection once it is there, however long it takes; rejects when the broker is closed. */
  whenReady(): Promise<ScriptedRedis>;
  /** Declares; for a fanout queue also listens on its channel, and returns what stops that. */
  open(queue: Queue, onMessage: (text: string) => void): Promise<(() => Promise<void>) | undefined>;
  onClosed(consumer: RedisConsumer): void;
}

/**
 * Takes messages from lists, several at a time and never more than its prefetch allows, and waits without asking
 * when there are none: Redis says when one of the lists changes (`CLIENT TRACKING`).
 */
export class RedisConsumer implements Consumer, Settlement {
  readonly #context: RedisConsumerContext;
  readonly #options: ConsumeOptions;
  readonly #queues = new Map<string, Queue>();
  readonly #subscriptions = new Map<string, () => Promise<void>>();
  readonly #held = new Map<string, string>();
  /** Tags of messages that {@link begin} counted. */
  readonly #begun = new Set<string>();
  readonly #id = randomUUID();
  #prefetch: number;
  #cancelled = false;
  #closed = false;
  #acked: string[] = [];
  #requeued: string[] = [];
  #settling: Promise<void> = Promise.resolve();
  #settleScheduled = false;
  #wake: (() => void) | undefined;
  #woken = false;
  /** Whether the present look is because Redis said so. */
  #wasWoken = false;
  /** Whether looking waits for room: for a message to be settled. */
  #isFull = false;
  /** When a look was first put off because it would bring little. */
  #hasRoomSince: number | undefined;
  #turn = 0;
  #taken = 0;
  #lostRaces = 0;
  /** The score of a look that has not been answered: if the answer is lost, what it took is found by it. */
  #unanswered: number | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(context: RedisConsumerContext, options: ConsumeOptions) {
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

  /** The tags in hand, whose scores the broker keeps fresh. */
  heldTags(): string[] {
    return [...this.#held.keys()];
  }

  /** Begins to take messages, from the queues added by now and later. */
  start(): void {
    this.#running = this.#run().catch(() => undefined);
  }

  async addQueue(queue: Queue): Promise<void> {
    if (this.#queues.has(queue.name)) return;
    const stop = await this.#context.open(queue, (text) => this.#deliver(text, queue.name, "", null));
    this.#queues.set(queue.name, queue);
    if (stop) this.#subscriptions.set(queue.name, stop);
    this.wake();
  }

  async cancelQueue(queue: string): Promise<void> {
    this.#queues.delete(queue);
    await this.#subscriptions.get(queue)?.();
    this.#subscriptions.delete(queue);
    this.wake();
  }

  setPrefetch(prefetch: number): void {
    this.#prefetch = prefetch;
    this.wake();
  }

  /** Something may have come, or there is room again: look now. */
  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  async begin(tag: string): Promise<number> {
    this.#begun.add(tag);
    return this.#context.unacked.begin(await this.#context.whenReady(), tag);
  }

  settle(tag: string, how: "ack" | "requeue"): void {
    if (!this.#held.delete(tag)) return;
    if (this.#begun.delete(tag)) this.#forgetBegun(tag).catch(() => undefined);
    (how === "ack" ? this.#acked : this.#requeued).push(tag);
    if (!this.#settleScheduled) {
      this.#settleScheduled = true;
      process.nextTick(() => {
        this.#settleScheduled = false;
        this.#settling = this.#settling.then(() => this.#sendSettled());
      });
    }
    if (this.#isFull && this.#room() >= this.#worthwhile()) this.wake();
  }

  async cancel(): Promise<void> {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.wake();
    await Promise.all([...this.#subscriptions.values()].map((stop) => stop()));
    this.#subscriptions.clear();
    await this.#running;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.cancel();
    await new Promise<void>((resolve) => process.nextTick(resolve));
    await this.#settling;
    const tags = this.heldTags();
    this.#held.clear();
    try {
      const redis = await this.#context.whenReady();
      if (tags.length > 0) await this.#context.unacked.restore(redis, tags, "next");
      await this.#sendSettled();
    } finally {
      this.#context.onClosed(this);
    }
  }

  async #forgetBegun(tag: string): Promise<void> {
    await this.#context.unacked.forgetBegun(await this.#context.whenReady(), tag);
  }

  /** Sends what is to be forgotten and what is to be put back; what the connection loses is sent on the next one. */
  async #sendSettled(): Promise<void> {
    while (this.#acked.length > 0 || this.#requeued.length > 0) {
      const acked = this.#acked.splice(0, 1000);
      const requeued = this.#requeued.splice(0, 100);
      try {
        const redis = await this.#context.whenReady();
        if (acked.length > 0) await this.#context.unacked.remove(redis, acked);
        if (requeued.length > 0) await this.#context.unacked.restore(redis, requeued, "last");
      } catch (error) {
        if (error instanceof OperationalError) return;
        this.#acked.unshift(...acked);
        this.#requeued.unshift(...requeued);
      }
    }
  }

  async #run(): Promise<void> {
    while (!this.#cancelled) {
      const redis = await this.#context.whenReady();
      try {
        if (this.#unanswered !== undefined) await this.#restoreUnanswered(redis, this.#unanswered);
        const pause = this.#pauseBeforeLook();
        this.#isFull = pause > 0;
        if (this.#isFull) await this.#sleep(pause);
        else await this.#look(redis);
      } catch (error) {
        if (error instanceof OperationalError) return;
        await this.#pauseAfter(error as Error);
      }
    }
  }

  /**
   * How long to wait for more room, in milliseconds; 0 to look now. What is in hand may stay there for long (tasks that
   * run, tasks for later), so that there is a time to wait until a look is worthwhile, and an end to it.
   */
  #pauseBeforeLook(): number {
    this.#wasWoken = this.#woken;
    this.#woken = false;
    const room = this.#room();
    if (room <= 0 || this.#listQueues().length === 0) {
      this.#hasRoomSince = undefined;
      return SAFETY_LOOK_MS * 10;
    }
    if (room >= this.#worthwhile()) return 0;
    const now = performance.now();
    this.#hasRoomSince ??= now;
    return Math.max(0, this.#hasRoomSince + GATHERING_MS - now);
  }

  /** The connection broke, or the server refuses (it loads, or is out of memory): what was taken is in `unacked`. */
  async #pauseAfter(error: Error): Promise<void> {
    if (error.name === "ReplyError") this.#context.log.error({ err: error }, `Cannot take messages: ${error.message}`);
    this.#woken = false;
    await this.#sleep(error.name === "ReplyError" ? SAFETY_LOOK_MS : 50);
  }

  /** Takes what there is; when that was nothing, waits until Redis says that something came. */
  async #look(redis: ScriptedRedis): Promise<void> {
    this.#hasRoomSince = undefined;
    const wanted = Math.min(this.#room(), TAKE_LIMIT);
    const armed = this.#context.isTracking();
    const [taken, left] = await this.#take(redis, wanted, armed);
    if (taken > 0) this.#lostRaces = 0;
    if (taken === wanted || left > 0 || this.#woken || this.#cancelled) return;
    if (taken === 0 && this.#wasWoken) await this.#stepAside();
    else await this.#sleep(armed ? SAFETY_LOOK_MS : BLIND_LOOK_MS);
  }

  async #take(redis: ScriptedRedis, wanted: number, armed: boolean): Promise<[taken: number, left: number]> {
    const queues = queueOrder(this.#listQueues(), this.#context.queueOrder, this.#turn++);
    const lists = this.#lists(queues);
    const { names } = this.#context;
    const score = uniqueNow();
    // Both commands travel in one write.
    redis.stream.cork();
    const listed = this.#options.noAck
      ? redis.celeriacTakeNoAck(lists.length, ...lists.map(({ list }) => list), wanted)
      : redis.celeriacTake(
          lists.length + 2,
          names.unacked,
          names.unackedIndex,
          ...lists.map(({ list }) => list),
          wanted,
          score,
          `${this.#id}.${this.#taken}.`,
          ...lists.map(({ queue }) => JSON.stringify(queue)),
        );
    const left = armed
      ? this.#watch(
          redis,
          lists.map(({ list }) => list),
        )
      : Promise.resolve(0);
    redis.stream.uncork();
    if (!this.#options.noAck) this.#unanswered = score;
    // Heard of below; when the connection breaks, the first of the two tells.
    left.catch(() => undefined);
    const reply = await listed;
    this.#unanswered = undefined;
    const width = this.#options.noAck ? 2 : 3;
    for (let at = 0; at < reply.length; at += width) {
      const { queue } = lists[Number(reply[at]) - 1] as { queue: string };
      if (this.#options.noAck) this.#deliver(String(reply[at + 1]), queue, "", null);
      else this.#deliver(String(reply[at + 2]), queue, String(reply[at + 1]), this);
    }
    this.#taken += reply.length;
    return [reply.length / width, await left];
  }

  /** Puts back what a look took whose answer never came: at once, not after the visibility timeout. */
  async #restoreUnanswered(redis: ScriptedRedis, score: number): Promise<void> {
    const tags = await redis.zrangebyscore(this.#context.names.unackedIndex, score, score);
    const known = new Set([...this.#held.keys(), ...this.#acked, ...this.#requeued]);
    await this.#context.unacked.restore(
      redis,
      tags.filter((tag) => !known.has(tag)),
      "next",
    );
    this.#unanswered = undefined;
  }

  /** Asks to be told of the next change of any of the lists; says how many of them have something in them now. */
  async #watch(redis: ScriptedRedis, lists: readonly string[]): Promise<number> {
    redis.call("CLIENT", "CACHING", "YES").catch(() => undefined);
    return redis.exists(...lists);
  }

  #deliver(text: string, queue: string, tag: string, settlement: Settlement | null): void {
    if (settlement) this.#held.set(tag, queue);
    try {
      const delivery = new VirtualDelivery(readEnvelope(text), queue, tag, settlement);
      this.#options.onDelivery(delivery);
    } catch (error) {
      this.#options.onUnreadable({ queue, text: text.slice(0, 1000), error: error as Error });
      if (settlement) this.settle(tag, "ack");
    }
  }

  /** With many workers on one queue all hear of each message and one gets it: the others look again a bit later. */
  async #stepAside(): Promise<void> {
    const longest = Math.min(LONGEST_STEP_ASIDE_MS, 2 ** this.#lostRaces++);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * longest));
  }

  #sleep(longestMs: number): Promise<void> {
    if (this.#woken) return Promise.resolve();
    return new Promise<void>((resolve) => {
      const timer = setTimeout(done, longestMs);
      const self = this;
      function done(): void {
        clearTimeout(timer);
        self.#wake = undefined;
        resolve();
      }
      this.#wake = done;
    });
  }

  #room(): number {
    const room = this.#prefetch === 0 ? TAKE_LIMIT : this.#prefetch - this.#held.size;
    return Math.min(room, this.#options.capacity?.() ?? room);
  }

  /** Under load a look waits until it can bring more than one message. */
  #worthwhile(): number {
    return this.#held.size === 0 || this.#options.capacity ? 1 : Math.max(1, Math.min(TAKE_LIMIT, this.#prefetch) >> 1);
  }

  #listQueues(): string[] {
    return this.queues.filter((name) => !this.#subscriptions.has(name));
  }

  /** Lists of all queues, those of the highest priority first. */
  #lists(queues = this.#listQueues()): { list: string; queue: string }[] {
    const perQueue = queues.map((queue) => this.#context.names.lists(queue).map((list) => ({ list, queue })));
    const steps = perQueue[0]?.length ?? 0;
    return Array.from({ length: steps }, (_, step) => perQueue.flatMap((lists) => lists[step] ?? [])).flat();
  }
}

/** Now in seconds, with digits below the millisecond that tell the looks of different workers apart. */
function uniqueNow(): number {
  return (Date.now() + Math.random()) / 1000;
}
