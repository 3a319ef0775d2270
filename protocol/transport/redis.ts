import type { Binding } from "./virtual.ts";

/** kombu's separator between the parts of a name. */
export const SEPARATOR = "\x06\x16";

/** Priorities share a list from one step to the next; 0 is the highest and has the bare queue name. */
export const PRIORITY_STEPS: readonly number[] = [0, 3, 6, 9];

/** Names in Redis that an application can change by `brokerTransportOptions`. */
export interface RedisNameOptions {
  globalKeyPrefix?: string;
  separator?: string;
  prioritySteps?: readonly number[];
  unackedKey?: string;
  unackedIndexKey?: string;
  unackedMutexKey?: string;
  /** The database's number, which is part of the channel names of fanout exchanges. */
  db?: number;
  /** `fanout_prefix`: true for `/<db>.`, false for none, or a prefix of one's own with `{db}` in it. */
  fanoutPrefix?: boolean | string;
  /** `fanout_patterns`: whether routing keys are part of the channel names. */
  fanoutPatterns?: boolean;
}

/** The names of what kombu's Redis transport keeps. Mirrors `kombu/transport/redis.py Channel`. */
export interface RedisNames {
  readonly unacked: string;
  readonly unackedIndex: string;
  readonly unackedMutex: string;
  readonly bindingDeadlines: string;
  /** Counts how often a redelivered message was begun; ours. @param tag the message's */
  begun(tag: string): string;
  /** The list for a queue's messages of a priority from 0 to 9; others are brought within that. */
  list(queue: string, priority?: number): string;
  /** All lists of a queue, the first served first. */
  lists(queue: string): string[];
  bindings(exchange: string): string;
  permanentBindings(exchange: string): string;
  channel(exchange: string, routingKey?: string): string;
  /** The exchange that a channel belongs to, undefined for a channel that is not of this kind. */
  exchangeOf(channel: string): string | undefined;
}

export function redisNames(options: RedisNameOptions = {}): RedisNames {
  const prefix = options.globalKeyPrefix ?? "";
  const separator = options.separator ?? SEPARATOR;
  const steps = options.prioritySteps ?? PRIORITY_STEPS;
  const fanout = fanoutPrefix(options);
  const patterns = options.fanoutPatterns ?? true;
  const list = (queue: string, step: number): string => `${prefix}${queue}${step ? `${separator}${step}` : ""}`;
  return {
    unacked: prefix + (options.unackedKey ?? "unacked"),
    unackedIndex: prefix + (options.unackedIndexKey ?? "unacked_index"),
    unackedMutex: prefix + (options.unackedMutexKey ?? "unacked_mutex"),
    begun: (tag) => `${prefix}celeriac.begun.${tag}`,
    bindingDeadlines: `${prefix}_kombu.binding_deadlines`,
    list: (queue, priority = 0) => list(queue, priorityStep(priority, steps)),
    lists: (queue) => steps.map((step) => list(queue, step)),
    bindings: (exchange) => `${prefix}_kombu.binding.${exchange}`,
    permanentBindings: (exchange) => `${prefix}_kombu.binding_permanent.${exchange}`,
    channel: (exchange, routingKey = "") =>
      `${prefix}${fanout}${exchange}${routingKey && patterns ? `/${routingKey.replaceAll("#", "*")}` : ""}`,
    exchangeOf(channel) {
      const start = prefix + fanout;
      return channel.startsWith(start) ? channel.slice(start.length).split("/", 1)[0] : undefined;
    },
  };
}

function fanoutPrefix({ fanoutPrefix: prefix = true, db = 0 }: RedisNameOptions): string {
  if (prefix === false) return "";
  return (prefix === true ? "/{db}." : prefix).replace("{db}", String(db));
}

/** The step a priority falls into: the last one that is not above it. */
function priorityStep(priority: number, steps: readonly number[]): number {
  const bounded = Math.max(0, Math.min(9, Math.trunc(priority)));
  let step = steps[0] ?? 0;
  for (const next of steps) if (next <= bounded) step = next;
  return step;
}

/** A binding as a member of an exchange's set. */
export function dumpBinding({ routingKey, pattern, queue }: Binding, separator = SEPARATOR): string {
  return [routingKey, pattern, queue].join(separator);
}

export function readBinding(member: string, separator = SEPARATOR): Binding {
  const [routingKey = "", pattern = "", queue = ""] = member.split(separator);
  return { routingKey, pattern, queue };
}
