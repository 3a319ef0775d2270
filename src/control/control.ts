import { Inspect, type InspectOptions } from "./inspect.ts";
import type { BroadcastOptions, Mailbox, Reply } from "./mailbox.ts";

/** How a command and its replies are handled. */
export type ControlOptions = BroadcastOptions;

/** How a task that runs is ended. */
export interface TerminateOptions extends ControlOptions {
  /** Sent to its process, where it has one of its own; `SIGTERM` unless given. */
  signal?: string | number;
}

/** What the commands need of their application. */
export interface ControlContext {
  mailbox: Mailbox;
  /** Drops what waits in the application's queues. */
  purge(): Promise<number>;
}

/**
 * Commands to the workers of a cluster, in whatever language they run: Python's positional arguments, options last.
 * They resolve with the replies where `reply` is true, else with none as soon as they were sent.
 * Mirrors `celery/app/control.py Control`.
 */
export class Control {
  readonly #context: ControlContext;

  constructor(context: ControlContext) {
    this.#context = context;
  }

  /** Any command, by name: those that an application added too. */
  broadcast(command: string, args: Record<string, unknown> = {}, options: ControlOptions = {}): Promise<Reply[]> {
    return this.#context.mailbox.broadcast(command, args, options);
  }

  /** `[{ "celery@host": { ok: "pong" } }, …]` */
  async ping(options: InspectOptions = {}): Promise<Record<string, { ok: string }>[]> {
    const replies = await this.broadcast("ping", {}, { ...options, reply: true });
    return replies as Record<string, { ok: string }>[];
  }

  /**
   * Has workers drop tasks when they come up.
   * @param options `terminate` also stops those that run
   */
  revoke(taskId: string | string[], options: TerminateOptions & { terminate?: boolean } = {}): Promise<Reply[]> {
    const { terminate = false, signal = "SIGTERM", ...rest } = options;
    return this.broadcast("revoke", { task_id: taskId, terminate, signal }, rest);
  }

  /** Has workers drop tasks that have one of these values in a stamp: `{ customer: ["a", "b"] }`. */
  revokeByStampedHeaders(
    headers: Record<string, unknown>,
    options: TerminateOptions & { terminate?: boolean } = {},
  ): Promise<Reply[]> {
    const { terminate = false, signal = "SIGTERM", ...rest } = options;
    return this.broadcast("revoke_by_stamped_headers", { headers, terminate, signal }, rest);
  }

  /** Revokes tasks, and stops those that run. */
  terminate(taskId: string | string[], options: TerminateOptions = {}): Promise<Reply[]> {
    return this.revoke(taskId, { ...options, terminate: true });
  }

  /** @param limit `10/s`, `100/m`, `5/h`, a number a second, 0 for none */
  rateLimit(task: string, limit: string | number, options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("rate_limit", { task_name: task, rate_limit: limit }, options);
  }

  /** @param soft seconds @param hard seconds */
  timeLimit(task: string, soft?: number | null, hard?: number | null, options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("time_limit", { task_name: task, hard: hard ?? null, soft: soft ?? null }, options);
  }

  /** @param exchange the queue's own name unless given, as is the routing key */
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

  /** Has workers tell monitors of their tasks. */
  enableEvents(options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("enable_events", {}, options);
  }

  disableEvents(options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("disable_events", {}, options);
  }

  /** Has workers send a heartbeat event now. */
  heartbeat(options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("heartbeat", {}, options);
  }

  poolGrow(n = 1, options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("pool_grow", { n }, options);
  }

  poolShrink(n = 1, options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("pool_shrink", { n }, options);
  }

  /** Starts the pools anew, where `worker_pool_restarts` allows it. @param modules Python's, to import or reload */
  poolRestart(
    modules: readonly string[] | null = null,
    reload = false,
    reloader: unknown = null,
    options: ControlOptions = {},
  ): Promise<Reply[]> {
    return this.broadcast("pool_restart", { modules, reload, reloader }, options);
  }

  autoscale(max: number, min: number, options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("autoscale", { max, min }, options);
  }

  /** Stops workers warm. They do not reply. */
  shutdown(options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("shutdown", {}, options);
  }

  /**
   * Has the workers choose one of them, which then does something.
   * @param topic `task`: the chosen one sends the signature that is the action
   */
  election(id: string, topic: string, action: unknown = null, options: ControlOptions = {}): Promise<Reply[]> {
    return this.broadcast("election", { id, topic, action }, options);
  }

  /** Drops all tasks that wait in the application's queues, and says how many there were. */
  purge(): Promise<number> {
    return this.#context.purge();
  }

  /** Questions about the workers; see {@link Inspect}. */
  inspect(options: InspectOptions = {}): Inspect {
    return new Inspect((command, args, asked) => this.broadcast(command, args, asked), options);
  }
}
