import { randomUUID } from "node:crypto";
import type { Message, MessageProperties } from "../../protocol/message/message.ts";
import type { TaskOptions } from "../../protocol/message/task-options.ts";
import { asTaskV2 } from "../../protocol/message/v2.ts";
import { DateTime, parseIsoTime } from "../../protocol/python/datetime.ts";
import type { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import type { Queue, Route } from "../../protocol/transport/entities.ts";
import type { ResultBackend } from "../backends/backend.ts";
import type { Broker } from "../brokers/broker.ts";
import { compress } from "../compression.ts";
import { OperationalError } from "./errors.ts";
import type { RoutedOptions, Router } from "./router.ts";
import type { RetryPolicy, Settings } from "./settings.ts";
import type { RunningTask } from "./task-request.ts";

/** What a producer needs of its application. */
export interface ProducerContext {
  readonly settings: Settings;
  readonly serializers: SerializerRegistry;
  readonly router: Router;
  /** `gen<pid>@<host>`. */
  readonly origin: string;
  /** This process's reply address, sent whether or not anybody replies. */
  readonly replyTo: string;
  broker(): Promise<Broker>;
  backend(): Promise<ResultBackend>;
  running(): RunningTask | undefined;
  /** Tells monitors that a task was sent; only called with `taskSendSentEvent`. */
  sendEvent(type: string, fields: Record<string, unknown>): Promise<void>;
}

/** A task that was sent. */
export interface SentTask {
  id: string;
  /** True when it is known that no result will be stored. */
  ignored: boolean;
}

/** Wire options that make the message, and are no properties of it. */
const CONSUMED = new Set([
  ...[
    "task_id",
    "args",
    "kwargs",
    "countdown",
    "eta",
    "expires",
    "group_id",
    "group_index",
    "retries",
    "chord",
    "chain",
  ],
  ...["link", "link_error", "reply_to", "time_limit", "soft_time_limit", "root_id", "parent_id", "shadow", "origin"],
  ...["ignore_result", "argsrepr", "kwargsrepr", "stamped_headers", "stamps", "replaced_task_nesting", "add_to_parent"],
  ...["queue", "exchange", "exchange_type", "routing_key", "serializer", "compression", "headers", "delivery_mode"],
  ...["retry", "retry_policy", "timeout", "confirm_timeout", "priority", "mandatory", "immutable", "task_type"],
]);

/** Makes task messages and publishes them. Mirrors `celery/app/base.py send_task` and `celery/app/amqp.py`. */
export class Producer {
  readonly #context: ProducerContext;
  /** Queues that were declared: the broker declares them again by itself when it has to. */
  readonly #declared = new WeakSet<Queue>();
  /** Kept once they are there: asking for them costs a turn each time. */
  #broker: Broker | undefined;
  #backend: ResultBackend | undefined;

  constructor(context: ProducerContext) {
    this.#context = context;
  }

  /**
   * Sends a task. Resolves when the broker has it.
   *
   * @param options under the wire's names; those of a registered task are already among them
   * @throws EncodeError, QueueNotFound, OperationalError after the retries of the policy
   */
  async sendTask(
    name: string,
    args: readonly unknown[],
    kwargs: Record<string, unknown>,
    options: Record<string, unknown>,
  ): Promise<SentTask> {
    const { settings, router } = this.#context;
    const routed = router.route(options, name, args, kwargs);
    const running = this.#context.running();
    const task = asTaskV2(name, this.#taskOptions(args, kwargs, routed, running));
    const queue = routed.queue as Queue;
    const route = routeOf(routed, queue);
    const ignored = routed.ignore_result === true;
    if (!ignored) {
      this.#backend ??= await this.#context.backend();
      if (this.#backend.prepare) await this.#backend.prepare();
    }
    const plain = this.#message(task, routed, queue, running);
    const method = text(routed.compression) ?? settings.taskCompression;
    const message = method ? await compressed(plain, method) : plain;
    await this.publish(message, route, queue, routed);
    if (settings.taskSendSentEvent) await this.#sentEvent(task.headers, route, queue);
    return { id: task.headers.id, ignored };
  }

  /**
   * Publishes a message with the retries that the policy allows, within the time that publishing may take.
   * @throws OperationalError
   */
  async publish(
    message: Message,
    route: Route,
    queue: Queue | null,
    options: Record<string, unknown> = {},
  ): Promise<void> {
    const { settings } = this.#context;
    const timeoutMs = typeof options.timeout === "number" ? options.timeout * 1000 : settings.taskPublishTimeoutMs;
    const deadline = Date.now() + timeoutMs;
    const policy = {
      ...settings.taskPublishRetryPolicy,
      ...(options.retry_policy as Partial<RetryPolicy> | undefined),
    };
    const retries = (options.retry ?? settings.taskPublishRetry) ? (policy.max_retries ?? Number.POSITIVE_INFINITY) : 0;
    for (let attempt = 0; ; attempt++) {
      try {
        this.#broker ??= await this.#context.broker();
        const broker = this.#broker;
        if (!broker.connected) await broker.connect(AbortSignal.timeout(Math.max(1, deadline - Date.now())));
        if (queue && !queue.noDeclare && !this.#declared.has(queue)) await this.#declare(broker, queue);
        return await broker.publish(message, route, Math.max(1, deadline - Date.now()));
      } catch (error) {
        if (!(error instanceof OperationalError) || attempt >= retries) throw error;
        const pause = Math.min(policy.interval_start + policy.interval_step * attempt, policy.interval_max) * 1000;
        if (Date.now() + pause >= deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  async #declare(broker: Broker, queue: Queue): Promise<void> {
    await broker.declare(queue);
    this.#declared.add(queue);
  }

  #taskOptions(
    args: readonly unknown[],
    kwargs: Record<string, unknown>,
    options: RoutedOptions,
    running: RunningTask | undefined,
  ): TaskOptions {
    const { settings, origin, replyTo } = this.#context;
    return {
      taskId: text(options.task_id) ?? randomUUID(),
      args,
      kwargs,
      countdown: number(options.countdown),
      eta: moment(options.eta),
      expires: typeof options.expires === "number" ? options.expires : moment(options.expires),
      groupId: text(options.group_id),
      groupIndex: number(options.group_index),
      retries: number(options.retries) ?? 0,
      chord: options.chord ?? null,
      callbacks: list(options.link),
      errbacks: list(options.link_error),
      chain: list(options.chain),
      replyTo: text(options.reply_to) ?? replyTo,
      timeLimit: number(options.time_limit),
      softTimeLimit: number(options.soft_time_limit),
      rootId: text(options.root_id) ?? running?.request.rootId ?? null,
      parentId: text(options.parent_id) ?? running?.request.id ?? null,
      shadow: text(options.shadow),
      ignoreResult: typeof options.ignore_result === "boolean" ? options.ignore_result : null,
      argsrepr: text(options.argsrepr),
      kwargsrepr: text(options.kwargsrepr),
      stampedHeaders: Array.isArray(options.stamped_headers) ? options.stamped_headers : null,
      stamps: stampsOf(options),
      replacedTaskNesting: number(options.replaced_task_nesting) ?? 0,
      origin: text(options.origin) ?? origin,
      now: new Date(),
      timeZone: settings.timezone ?? "UTC",
      reprMaxLevels: settings.taskReprMaxlevels,
    };
  }

  #message(
    task: ReturnType<typeof asTaskV2>,
    options: RoutedOptions,
    queue: Queue,
    running: RunningTask | undefined,
  ): Message {
    const { settings, serializers } = this.#context;
    const { body, contentType, contentEncoding } = serializers.encode(
      task.body,
      text(options.serializer) ?? settings.taskSerializer,
    );
    const headers = options.headers
      ? { ...task.headers, ...(options.headers as Record<string, unknown>) }
      : task.headers;
    const properties: MessageProperties = task.properties;
    addOthers(properties, options);
    properties.delivery_mode = deliveryMode(
      options.delivery_mode ?? queue.exchange.deliveryMode ?? settings.taskDefaultDeliveryMode,
    );
    const expires = expiration(options.expires);
    if (expires !== null) properties.expiration = expires;
    const level = priority(options, settings.taskInheritParentPriority ? running : undefined);
    if (level !== null) properties.priority = level;
    return { body, contentType, contentEncoding, headers, properties };
  }

  async #sentEvent(headers: ReturnType<typeof asTaskV2>["headers"], route: Route, queue: Queue): Promise<void> {
    await this.#context.sendEvent("task-sent", {
      uuid: headers.id,
      root_id: headers.root_id,
      parent_id: headers.parent_id,
      name: headers.task,
      args: headers.argsrepr,
      kwargs: headers.kwargsrepr,
      retries: headers.retries,
      eta: headers.eta,
      expires: headers.expires,
      queue: queue.name,
      exchange: route.exchange,
      routing_key: route.routingKey,
    });
  }
}

/**
 * A direct exchange is never published to by name: the default exchange reaches the queue as well.
 * Mirrors `celery/app/amqp.py send_task_message`.
 */
function routeOf(options: RoutedOptions, queue: Queue): Route {
  const exchange = text(options.exchange);
  const routingKey = text(options.routing_key);
  const type = text(options.exchange_type) ?? queue.exchange.type;
  if ((!exchange || !routingKey) && type === "direct") return { exchange: "", routingKey: queue.name };
  return { exchange: exchange ?? queue.exchange.name, routingKey: routingKey ?? queue.routingKey };
}

async function compressed(message: Message, method: string): Promise<Message> {
  const { body, contentType: compression } = await compress(message.body, method);
  return { ...message, body, headers: { ...message.headers, compression } };
}

/** Options that are none of Celery's are properties of the message, but for stamps. */
function addOthers(properties: MessageProperties, options: RoutedOptions): void {
  const stamped = Array.isArray(options.stamped_headers) ? options.stamped_headers : [];
  for (const name in options) {
    const value = options[name];
    if (value !== undefined && value !== null && !CONSUMED.has(name) && !stamped.includes(name))
      properties[name] = value;
  }
}

function stampsOf(options: RoutedOptions): Record<string, unknown> {
  const stamped = Array.isArray(options.stamped_headers) ? options.stamped_headers : [];
  return Object.fromEntries(stamped.map((name: string) => [name, options[name]]));
}

/** How long the broker keeps the message, in milliseconds as text; "0" when it is too late already. */
function expiration(expires: unknown): string | null {
  if (expires === undefined || expires === null) return null;
  if (typeof expires === "number") return String(Math.max(0, Math.trunc(expires * 1000)));
  const moment = expires instanceof Date ? expires.getTime() : parseIsoTime(String(expires));
  return String(Math.max(0, moment - Date.now()));
}

/** 0 unless told otherwise; none for a task that is registered and sent to a queue by name, as Celery has it. */
function priority(options: RoutedOptions, running: RunningTask | undefined): number | null {
  const own = "priority" in options ? options.priority : (running?.request.deliveryInfo.priority ?? 0);
  return typeof own === "number" ? own : null;
}

function deliveryMode(mode: unknown): number {
  return mode === 1 || mode === "transient" ? 1 : 2;
}

/** Options may come off the wire, where whoever sent them may have put anything. */
function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function number(value: unknown): number | null {
  return value === undefined || value === null ? null : Number(value);
}

function list(value: unknown): readonly unknown[] | null {
  if (value === undefined || value === null) return null;
  return Array.isArray(value) ? value : [value];
}

function moment(value: unknown): Date | string | null {
  if (value instanceof Date) return value;
  if (typeof value === "string") return value;
  return value === undefined || value === null ? null : new DateTime(Number(value) * 1000);
}
