import { OperationalError } from "../../app/errors.ts";
import { withDeadline } from "../deadline.ts";
import type { ScriptedRedis } from "./scripts.ts";
import type { Unacked } from "./unacked.ts";

/** A command that is not answered for this long means that the connection is dead. */
const UNANSWERED_MS = 15_000;

/** What has to be looked after while anything is consumed. */
export interface UpkeepContext {
  unacked: Unacked;
  /** Seconds. */
  visibilityTimeout: number;
  /** Seconds between turns. */
  interval: number;
  /** The connection, when it is there. */
  redis(): ScriptedRedis | undefined;
  /** The tags of all messages in hand. */
  heldTags(): string[];
  refreshBindings(redis: ScriptedRedis): Promise<void>;
  /** Messages were put back: somebody may want them. */
  onRestored(): void;
  /** The connection does not answer. */
  onUnanswered(error: Error): void;
}

/** Keeps what is held from being taken for abandoned, and restores what is. */
export class RedisUpkeep {
  readonly #context: UpkeepContext;
  #timer: NodeJS.Timeout | undefined;
  #refreshed = 0;
  #busy = false;

  constructor(context: UpkeepContext) {
    this.#context = context;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#turn(), this.#context.interval * 1000);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #turn(): Promise<void> {
    const redis = this.#context.redis();
    if (!redis || this.#busy) return;
    this.#busy = true;
    try {
      await withDeadline(this.#work(redis), UNANSWERED_MS, "looking after held messages");
    } catch (error) {
      // A connection that does not answer is given up; whatever else it was, the next turn tries again.
      if (error instanceof OperationalError) this.#context.onUnanswered(error);
    } finally {
      this.#busy = false;
    }
  }

  async #work(redis: ScriptedRedis): Promise<void> {
    const { unacked, visibilityTimeout } = this.#context;
    const now = Date.now() / 1000;
    if (now - this.#refreshed >= visibilityTimeout / 3) {
      await unacked.refresh(redis, this.#context.heldTags(), now);
      this.#refreshed = now;
    }
    await this.#context.refreshBindings(redis);
    let restored = 0;
    do {
      restored = await unacked.restoreAbandoned(redis, visibilityTimeout, now);
      if (restored > 0) this.#context.onRestored();
    } while (restored > 0);
  }
}
