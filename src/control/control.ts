import type { BroadcastOptions, Mailbox, Reply } from "./mailbox.ts";

/** How a command and its replies are handled. */
export type ControlOptions = BroadcastOptions;

/** Where an inspection looks, and how long it waits. */
export interface InspectOptions {
  /** Node names; everyone when left out. */
  destination?: readonly string[];
  /** Seconds to wait for each further reply; 1 unless given. */
  timeout?: number;
  pattern?: string;
  matcher?: "glob" | "pcre";
  limit?: number;
}

/** Commands to the workers of a cluster, in whatever language they run. Mirrors `celery/app/control.py Control`. */
export class Control {
  readonly #mailbox: Mailbox;

  constructor(mailbox: Mailbox) {
    this.#mailbox = mailbox;
  }

  /** Any command, by name. Replies only with `reply: true`. */
  broadcast(command: string, args: Record<string, unknown> = {}, options: ControlOptions = {}): Promise<Reply[]> {
    return this.#mailbox.broadcast(command, args, options);
  }

  /** `[{ "celery@host": { ok: "pong" } }, …]` */
  async ping(options: InspectOptions = {}): Promise<Record<string, { ok: string }>[]> {
    const replies = await this.broadcast("ping", {}, { ...options, reply: true });
    return replies as Record<string, { ok: string }>[];
  }

  /**
   * Has workers drop tasks when they come up.
   * @param options `terminate` also stops those that run; `signal` is sent to their process where they have one
   */
  revoke(
    taskId: string | string[],
    options: ControlOptions & { terminate?: boolean; signal?: string } = {},
  ): Promise<Reply[]> {
    const { terminate = false, signal = "SIGTERM", ...rest } = options;
    return this.broadcast("revoke", { task_id: taskId, terminate, signal }, rest);
  }

  /** @param limit `10/s`, `100/m`, `5/h`, a number a second, 0 for none */
  rateLimit(task: string, limit: string | number, options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("rate_limit", { task_name: task, rate_limit: limit }, options);
  }

  /** @param soft seconds @param hard seconds */
  timeLimit(task: string, soft?: number | null, hard?: number | null, options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("time_limit", { task_name: task, hard: hard ?? null, soft: soft ?? null }, options);
  }

  addConsumer(
    queue: string,
    exchange?: string | null,
    exchangeType = "direct",
    routingKey?: string | null,
    options: ControlOptions = {},
  ): Promise<Reply[]> {
    const args = { queue, exchange: exchange ?? null, exchange_type: exchangeType, routing_key: routingKey ?? null };
    return this.broadcast("add_consumer", args, options);
  }

  cancelConsumer(queue: string, options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("cancel_consumer", { queue }, options);
  }

  enableEvents(options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("enable_events", {}, options);
  }

  disableEvents(options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("disable_events", {}, options);
  }

  poolGrow(n = 1, options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("pool_grow", { n }, options);
  }

  poolShrink(n = 1, options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("pool_shrink", { n }, options);
  }

  shutdown(options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("shutdown", {}, options);
  }

  /** Questions about the workers; see {@link Inspect}. */
  inspect(options: InspectOptions = {}): Inspect {
    return new Inspect(this, options);
  }
}

/** Questions to the workers: each answers `{ node: answer }` of those who replied, or null when nobody did. */
export class Inspect {
  readonly #control: Control;
  readonly #options: InspectOptions;

  constructor(control: Control, options: InspectOptions) {
    this.#control = control;
    this.#options = options;
  }

  ping(): Promise<Reply | null> {
    return this.#ask("ping");
  }

  active(): Promise<Reply | null> {
    return this.#ask("active", { safe: null });
  }

  reserved(): Promise<Reply | null> {
    return this.#ask("reserved");
  }

  scheduled(): Promise<Reply | null> {
    return this.#ask("scheduled");
  }

  revoked(): Promise<Reply | null> {
    return this.#ask("revoked");
  }

  registered(...taskinfoitems: string[]): Promise<Reply | null> {
    return this.#ask("registered", { taskinfoitems });
  }

  stats(): Promise<Reply | null> {
    return this.#ask("stats");
  }

  activeQueues(): Promise<Reply | null> {
    return this.#ask("active_queues");
  }

  clock(): Promise<Reply | null> {
    return this.#ask("clock");
  }

  conf(withDefaults = false): Promise<Reply | null> {
    return this.#ask("conf", { with_defaults: withDefaults });
  }

  report(): Promise<Reply | null> {
    return this.#ask("report");
  }

  queryTask(...ids: string[]): Promise<Reply | null> {
    return this.#ask("query_task", { ids });
  }

  async #ask(command: string, args: Record<string, unknown> = {}): Promise<Reply | null> {
    const replies = await this.#control.broadcast(command, args, { ...this.#options, reply: true });
    return replies.length > 0 ? Object.assign({}, ...replies) : null;
  }
}
