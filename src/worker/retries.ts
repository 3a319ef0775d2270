import type { TaskBody } from "../../protocol/message/embed.ts";
import { TaskPredicate } from "../app/errors.ts";
import { wireOptions } from "../app/send-options.ts";
import type { RetryOptions, TaskDefinition } from "../app/task.ts";
import type { Request } from "./request.ts";

/**
 * How a failed task is retried by itself; undefined when it is not.
 * Mirrors `celery/app/autoretry.py`.
 *
 * @param random a number from 0 up to 1, for the jitter
 */
export function autoretry(
  definition: TaskDefinition,
  error: unknown,
  retries: number,
  random: number,
): RetryOptions | undefined {
  const { autoretryFor = [], dontAutoretryFor = [], retryKwargs = {} } = definition.options;
  if (error instanceof TaskPredicate || dontAutoretryFor.some((type) => error instanceof type)) return undefined;
  if (!autoretryFor.some((type) => error instanceof type)) return undefined;
  const { retryBackoff = false } = definition.options;
  return { ...retryKwargs, exc: error, ...(retryBackoff && { countdown: backoff(definition, retries, random) }) };
}

/** Seconds until the next try: doubled with each, up to a maximum; with jitter a random part of that. */
function backoff({ options }: TaskDefinition, retries: number, random: number): number {
  const { retryBackoff, retryBackoffMax = 600, retryJitter = true } = options;
  const factor = Math.trunc(Math.max(1, Number(retryBackoff)));
  const seconds = Math.min(retryBackoffMax, factor * 2 ** retries);
  return Math.max(0, retryJitter ? Math.floor(random * (seconds + 1)) : seconds);
}

/** What a retry is sent with: all that the message had, but for what the task says now. */
export interface RetryCall {
  args: readonly unknown[];
  kwargs: Record<string, unknown>;
  options: Record<string, unknown>;
}

/**
 * Mirrors `celery/app/task.py signature_from_request`.
 *
 * @param body the message's, every value as it came
 */
export function retryCall(request: Request, body: TaskBody, given: RetryOptions): RetryCall {
  const [args, kwargs, embed] = body;
  const { headers, delivery } = request;
  const { exc: _, maxRetries: __, args: newArgs, kwargs: newKwargs, ...more } = given;
  const called = request.definition.retryArguments({ args, kwargs }, { args: newArgs, kwargs: newKwargs });
  const [hard, soft] = headers.timelimit;
  const options: Record<string, unknown> = {
    task_id: request.id,
    root_id: headers.root_id,
    parent_id: headers.parent_id,
    group_id: headers.group,
    group_index: headers.group_index,
    shadow: headers.shadow,
    chord: embed.chord,
    chain: embed.chain,
    link: embed.callbacks,
    link_error: embed.errbacks,
    expires: headers.expires,
    time_limit: hard,
    soft_time_limit: soft,
    headers: request.customHeaders(),
    reply_to: request.replyTo,
    replaced_task_nesting: headers.replaced_task_nesting,
    origin: headers.origin,
    ignore_result: request.ignoreResult,
    priority: request.priority,
    stamped_headers: headers.stamped_headers,
    ...stamps(headers.stamped_headers, headers.stamps),
    ...destination(delivery.exchange, delivery.routingKey),
  };
  const present = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== null && value !== undefined),
  );
  return {
    ...called,
    options: { ...present, ...wireOptions(more), retries: headers.retries + 1 },
  };
}

function stamps(names: readonly string[] | null, values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries((names ?? []).map((name) => [name, values[name]]));
}

/** Back to where it came from: a queue by name, or by exchange and routing key. */
function destination(exchange: string, routingKey: string): Record<string, unknown> {
  return exchange === "" ? { queue: routingKey } : { exchange, routing_key: routingKey };
}
