import type { SignatureData } from "../../protocol/canvas/signature.ts";
import { asTuple, type ResultNode } from "../../protocol/result/result-tuple.ts";
import type { Queue } from "../../protocol/transport/entities.ts";

/** The task that joins chords on backends that do not count their parts. */
export const CHORD_UNLOCK = "celery.chord_unlock";

/** Seconds until the first look at the header. */
const COUNTDOWN = 1;

/** How often the header is looked at, as given with the chord: seconds, and how many times. */
export interface UnlockOptions {
  interval?: unknown;
  max_retries?: unknown;
}

/** What finding the way of the body's unlocking takes. */
export interface UnlockContext {
  /** What a task of this application is sent with; nothing for another's. */
  sendOptions(task: string): Readonly<Record<string, unknown>>;
  /** The queue that a task goes to where nobody says another. @throws QueueNotFound */
  route(task: string): Queue | undefined;
  /** @throws QueueNotFound */
  queue(name: string): Queue;
}

/** A call of a task. */
export interface UnlockCall {
  args: unknown[];
  kwargs: Record<string, unknown>;
  options: Record<string, unknown>;
}

/**
 * The call of {@link CHORD_UNLOCK} for a chord, sent the way its body will go, so that whoever runs the body is there to
 * join it. Mirrors `celery/backends/base.py Backend.fallback_chord_unlock`.
 */
export function unlockCall(
  header: ResultNode,
  body: SignatureData,
  { interval, max_retries }: UnlockOptions,
  context: UnlockContext,
): UnlockCall {
  const registered = context.sendOptions(body.task);
  const own = body.options;
  const named = own.queue ?? registered.queue;
  const queue =
    typeof named === "string" ? context.queue(named) : ((named as Queue | undefined) ?? context.route(body.task));
  const stamps = Array.isArray(own.stamped_headers) ? own.stamped_headers : [];
  const routing = Object.fromEntries(
    ["exchange", "exchange_type", "routing_key", "headers"]
      .filter((name) => !stamps.includes(name) && own[name] !== undefined && own[name] !== null)
      .map((name) => [name, own[name]]),
  );
  routing.exchange_type ??= queue?.exchange.type;
  const kwargs = {
    interval: interval ?? null,
    max_retries: max_retries ?? null,
    result: (header.results ?? []).map(asTuple),
    ...(routing.exchange_type ? { _chord_unlock_exchange_type: routing.exchange_type } : {}),
  };
  return {
    args: [header.id, body],
    kwargs,
    options: {
      ignore_result: true,
      countdown: COUNTDOWN,
      queue: queue?.name,
      priority: own.priority ?? registered.priority ?? 0,
      ...routing,
    },
  };
}
