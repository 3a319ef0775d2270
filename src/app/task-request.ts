import type { SignatureData } from "../../protocol/canvas/signature.ts";
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
  /** True for a handler that is called in place, outside of any worker. */
  calledDirectly: boolean;
  /** The sender's language: `py`. */
  lang: string;
  /** Whether times without an offset are UTC: what protocol 1 says, and null in protocol 2. */
  utc: boolean | null;
  /** Seconds: hard limit first, then the soft one. */
  timelimit: [hard: number | null, soft: number | null];
  /** Seconds: the first of `timelimit`. */
  timeLimit: number | null;
  softTimeLimit: number | null;
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
  /** What is sent when it has succeeded, and when it has failed: signatures as data. */
  callbacks: readonly SignatureData[] | null;
  errbacks: readonly SignatureData[] | null;
  /** The rest of its chain, the next one last. */
  chain: readonly SignatureData[] | null;
  /** The body of the chord that it is a part of. */
  chord: SignatureData | null;
  /** The tasks that it has sent so far, as result tuples `[[id, parent], members]`. */
  readonly children: ResultTuple[];
}

/** A task that runs, with what it leaves behind. */
export interface RunningTask {
  readonly request: TaskRequest;
  /** Results of the tasks that it sent, in their order. */
  readonly children: ResultTuple[];
  /** What follows it, every value as it came. */
  readonly embed: Embed;
  /** Whether it keeps `children`: the task's option. */
  readonly trail: boolean;
}
