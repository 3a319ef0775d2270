import type { Embed } from "../../protocol/message/embed.ts";
import type { ResultTuple } from "../../protocol/result/result-tuple.ts";
import type { Untyped } from "./untyped.ts";

/** Where a message came from. */
export interface DeliveryInfo {
  exchange: string;
  routingKey: string;
  priority: number | null;
  redelivered: boolean;
}

/** The running task's own view of its message: `self.request`. Mirrors `celery/app/task.py Context`. */
export interface TaskRequest {
  id: string;
  /** The name to show, which a caller may have changed by `shadow`. */
  name: string;
  /** The task's own name. */
  task: string;
  rootId: string;
  parentId: string | null;
  /** How often it was tried before. */
  retries: number;
  /** ISO 8601 as it came. */
  eta: string | null;
  expires: string | null;
  group: string | null;
  groupIndex: number | null;
  correlationId: string;
  replyTo: string | null;
  /** Who sent it first; empty where the message does not say. */
  origin: string;
  /** The worker's node name. */
  hostname: string;
  deliveryInfo: DeliveryInfo;
  isEager: boolean;
  /** Seconds: hard limit first, then the soft one. */
  timelimit: [hard: number | null, soft: number | null];
  ignoreResult: boolean;
  shadow: string | null;
  replacedTaskNesting: number;
  stamps: Record<string, unknown>;
  stampedHeaders: string[] | null;
  /** The sender's own headers, keys as sent. */
  headers: Record<string, Untyped>;
  /** The message's own properties, under the wire's names: `app_id`, `delivery_mode`. */
  properties: Readonly<Record<string, unknown>>;
  args: Untyped[];
  kwargs: Record<string, Untyped>;
  argsrepr: string;
  kwargsrepr: string;
}

/** A task that runs, with what it leaves behind. */
export interface RunningTask {
  readonly request: TaskRequest;
  /** Results of the tasks that it sent, in their order. */
  readonly children: ResultTuple[];
  /** What follows it, every value as it came. */
  readonly embed: Embed;
}
