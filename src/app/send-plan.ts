import { writes } from "../../protocol/compatibility.ts";
import type { MessageProperties } from "../../protocol/message/message.ts";
import type { TaskOptions } from "../../protocol/message/task-options.ts";
import { DateTime, isoFormat, parseIsoTime } from "../../protocol/python/datetime.ts";
import { Float } from "../../protocol/python/numbers.ts";
import { repr } from "../../protocol/python/repr.ts";
import { forwardedValue } from "../../protocol/serialization/forwarded.ts";
import type { Queue, Route } from "../../protocol/transport/entities.ts";
import { TaskTypeError } from "./errors.ts";
import type { RoutedOptions } from "./router.ts";
import { optionName } from "./send-options.ts";
import type { RetryPolicy, Settings } from "./settings.ts";

/** What is the same in every message of an application. */
export interface SenderIdentity {
  /** `gen<pid>@<host>`. */
  readonly origin: string;
  /** This process's reply address, sent whether or not anybody replies. */
  readonly replyTo: string;
}

/** All of a task message that its options decide: what is left is its id, its arguments, and when it is sent. */
export interface SendPlan {
  readonly queue: Queue;
  readonly route: Route;
  /** True when it is known that no result will be stored. */
  readonly ignored: boolean;
  readonly taskId: string | null;
  readonly rootId: string | null;
  readonly parentId: string | null;
  readonly task: TaskOptions;
  readonly serializer: string;
  /** Name of a compression method; null for none. */
  readonly compression: string | null;
  readonly headers: Record<string, unknown> | null;
  /** Options that are none of Celery's travel as properties of the message; null for none. */
  readonly otherProperties: Record<string, unknown> | null;
  readonly deliveryMode: number;
  /** How long the broker keeps the message. */
  readonly expires: unknown;
  /** Undefined where the running task decides. */
  readonly priority: number | null | undefined;
  readonly publishing: PublishPolicy;
}

/** How long publishing may take, in milliseconds, and how often it is tried again. */
export interface PublishPolicy {
  readonly timeoutMs: number;
  readonly retries: number;
  readonly policy: RetryPolicy;
}

/** Wire options that make the message, and are no properties of it. */
const CONSUMED = new Set([
  ...["task_id", "args", "kwargs", "countdown", "eta", "expires", "group_id", "group_index", "retries", "chord"],
  ...["link", "link_error", "reply_to", "time_limit", "soft_time_limit", "root_id", "parent_id", "shadow", "origin"],
  ...["ignore_result", "argsrepr", "kwargsrepr", "stamped_headers", "stamps", "replaced_task_nesting", "add_to_parent"],
  ...["queue", "exchange", "exchange_type", "routing_key", "serializer", "compression", "headers", "delivery_mode"],
  ...[
    "retry",
    "retry_policy",
    "timeout",
    "confirm_timeout",
    "priority",
    "mandatory",
    "immutable",
    "task_type",
    "chain",
  ],
]);

/**
 * Reads options that came through the router; they may come off the wire, where whoever sent them may have put
 * anything.
 * @throws TaskTypeError for an option that cannot be used
 */
export function sendPlan(options: RoutedOptions, settings: Settings, { origin, replyTo }: SenderIdentity): SendPlan {
  const queue = options.queue as Queue;
  const expires = plain(options.expires);
  return {
    queue,
    route: routeOf(options, queue),
    ignored: options.ignore_result === true,
    taskId: text(options.task_id),
    rootId: text(options.root_id),
    parentId: text(options.parent_id),
    task: {
      countdown: number("countdown", options.countdown),
      eta: moment("eta", plain(options.eta)),
      expires: typeof expires === "number" ? expires : moment("expires", expires),
      groupId: text(options.group_id),
      groupIndex: groupIndex(options, settings),
      retries: number("retries", options.retries) ?? 0,
      chord: options.chord ?? null,
      callbacks: list(options.link),
      errbacks: list(options.link_error),
      chain: list(options.chain),
      replyTo: text(options.reply_to) ?? replyTo,
      timeLimit: number("time_limit", options.time_limit),
      softTimeLimit: number("soft_time_limit", options.soft_time_limit),
      shadow: text(options.shadow),
      ignoreResult: typeof options.ignore_result === "boolean" ? options.ignore_result : null,
      argsrepr: text(options.argsrepr),
      kwargsrepr: text(options.kwargsrepr),
      stampedHeaders: Array.isArray(options.stamped_headers) ? options.stamped_headers : null,
      stamps: stampsOf(options),
      replacedTaskNesting: number("replaced_task_nesting", options.replaced_task_nesting) ?? 0,
      origin: text(options.origin) ?? origin,
      timeZone: settings.timezone ?? "UTC",
      reprMaxLevels: settings.taskReprMaxlevels,
    },
    serializer: text(options.serializer) ?? settings.taskSerializer,
    compression: text(options.compression) ?? settings.taskCompression,
    headers: (options.headers as Record<string, unknown> | undefined) ?? null,
    otherProperties: othersOf(options),
    deliveryMode: deliveryMode(
      options.delivery_mode ?? queue.exchange.deliveryMode ?? settings.taskDefaultDeliveryMode,
    ),
    expires: expirationOf(expires, settings),
    priority: options.priority === undefined ? undefined : number("priority", options.priority),
    publishing: publishPolicy(options, settings),
  };
}

/** @param options `timeout` in seconds, `retry`, `retry_policy` */
export function publishPolicy(options: Record<string, unknown>, settings: Settings): PublishPolicy {
  const policy = { ...settings.taskPublishRetryPolicy, ...(options.retry_policy as Partial<RetryPolicy> | undefined) };
  return {
    timeoutMs: typeof options.timeout === "number" ? options.timeout * 1000 : settings.taskPublishTimeoutMs,
    retries: (options.retry ?? settings.taskPublishRetry) ? (policy.max_retries ?? Number.POSITIVE_INFINITY) : 0,
    policy,
  };
}

/** The properties of a message of this plan, in the order in which Celery writes them. */
export function messageProperties(
  plan: SendPlan,
  own: { correlation_id: string; reply_to: string },
  priority: number | null,
): MessageProperties {
  const { otherProperties, deliveryMode: delivery_mode } = plan;
  const properties: MessageProperties = otherProperties
    ? { ...own, ...otherProperties, delivery_mode }
    : { correlation_id: own.correlation_id, reply_to: own.reply_to, delivery_mode };
  if (plan.expires !== null) properties.expiration = expiration(plan.expires);
  if (priority !== null) properties.priority = priority;
  return properties;
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

/** All but stamps. */
function othersOf(options: RoutedOptions): Record<string, unknown> | null {
  let others: Record<string, unknown> | null = null;
  const stamped = Array.isArray(options.stamped_headers) ? options.stamped_headers : [];
  for (const name in options) {
    const value = options[name];
    if (value === undefined || value === null || CONSUMED.has(name) || stamped.includes(name)) continue;
    others ??= {};
    others[name] = value;
  }
  return others;
}

function stampsOf(options: RoutedOptions): Record<string, unknown> {
  const stamped = Array.isArray(options.stamped_headers) ? options.stamped_headers : [];
  return Object.fromEntries(stamped.map((name: string) => [name, options[name]]));
}

/** Before 5.3 only the parts of chords were told their place. */
function groupIndex({ chord, group_index: index }: RoutedOptions, { compatibility }: Settings): number | null {
  return chord || writes(compatibility, "groupIndexOfGroups") ? number("group_index", index) : null;
}

/** Celery 5.0 tells the workers alone when a message expires, not the broker. */
function expirationOf(expires: unknown, { compatibility }: Settings): unknown {
  return writes(compatibility, "expirationProperty") ? (expires ?? null) : null;
}

/** Milliseconds from now as text; "0" when it is too late already. */
function expiration(expires: unknown): string {
  if (typeof expires === "number") return String(Math.max(0, Math.trunc(expires * 1000)));
  const moment = expires instanceof Date ? expires.getTime() : parseIsoTime(String(expires));
  return String(Math.max(0, moment - Date.now()));
}

function deliveryMode(mode: unknown): number {
  return mode === 1 || mode === "transient" ? 1 : 2;
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

/** An option's value: one that came in a message is forwarded in the form that it was written in. */
function plain(option: unknown): unknown {
  const value = typeof option === "object" && option !== null ? forwardedValue(option) : option;
  return value instanceof Float ? value.value : value;
}

/** @throws TaskTypeError for what is none */
function number(name: string, option: unknown): number | null {
  const value = plain(option);
  if (value === undefined || value === null) return null;
  const read = Number(value);
  if (Number.isNaN(read)) throw new TaskTypeError(`${optionName(name)} must be a number, not ${repr(value)}`);
  return read;
}

function list(value: unknown): readonly unknown[] | null {
  if (value === undefined || value === null) return null;
  return Array.isArray(value) ? value : [value];
}

/** @throws TaskTypeError for what is no moment */
function moment(name: string, value: unknown): Date | string | null {
  if (value === undefined || value === null) return null;
  try {
    if (typeof value === "string") parseIsoTime(value);
    const read = value instanceof Date || typeof value === "string" ? value : new DateTime(Number(value) * 1000);
    if (read instanceof Date) isoFormat(read);
    return read;
  } catch (cause) {
    const wanted = name === "expires" ? "a number of seconds or a Date" : "a Date";
    throw new TaskTypeError(`${optionName(name)} must be ${wanted}, not ${repr(value)}`, { cause });
  }
}
