import type { SignatureData } from "../../protocol/canvas/signature.ts";
import { InvalidTaskError } from "../../protocol/errors.ts";
import type { Embed, TaskBody } from "../../protocol/message/embed.ts";
import { PROTOCOL_HEADERS, type TaskHeaders } from "../../protocol/message/headers.ts";
import { replyAddress } from "../../protocol/message/message.ts";
import { momentIn } from "../../protocol/python/timezone.ts";
import type { ReceivedTask } from "../app/signals.ts";
import type { TaskDefinition } from "../app/task.ts";
import type { TaskRequest } from "../app/task-request.ts";
import type { Delivery } from "../brokers/broker.ts";

/** Headers that RabbitMQ adds to what it dead-lettered; a retry that carried them on would look like a cycle. */
const X_DEATH_HEADERS = new Set(["x-death", "x-first-death-exchange", "x-first-death-queue", "x-first-death-reason"]);

/** A task that a worker was sent, from its delivery to its end. Mirrors `celery/worker/request.py Request`. */
export class Request {
  readonly id: string;
  /** The task's own name. */
  readonly task: string;
  /** The name to show: the caller may have given another. */
  readonly name: string;
  readonly headers: TaskHeaders;
  readonly definition: TaskDefinition;
  readonly delivery: Delivery;
  readonly hostname: string;
  /** Milliseconds since the epoch; null for at once. */
  readonly eta: number | null;
  readonly expires: number | null;
  readonly ignoreResult: boolean;
  /** The body, where reading the headers took reading it. */
  readonly body: TaskBody | undefined;
  /** What protocol 1 says of times without an offset; null in protocol 2. */
  readonly utc: boolean | null;
  /** Seconds since the epoch at which it began to run. */
  timeStart: number | null = null;
  acknowledged = false;
  /** The process that it runs in. */
  workerPid: number | null = null;
  /**
   * Ends the task from outside, revoked or because the worker goes away: set while it runs. Of one that is terminated
   * the reason's message names the signal, for the child that it runs in.
   */
  end: ((how: "terminated" | "cancelled", reason: Error) => void) | undefined;

  /**
   * @param timeZone of times without an offset
   * @throws InvalidTaskError when a header cannot be used
   */
  constructor(
    headers: TaskHeaders,
    definition: TaskDefinition,
    delivery: Delivery,
    hostname: string,
    timeZone: string,
    body?: TaskBody,
    utc: boolean | null = null,
  ) {
    this.headers = headers;
    this.id = headers.id;
    this.task = headers.task;
    this.name = headers.shadow || headers.task;
    this.definition = definition;
    this.delivery = delivery;
    this.hostname = hostname;
    this.body = body;
    this.utc = utc;
    this.eta = time("eta", headers.eta, timeZone);
    this.expires = time("expires", headers.expires, timeZone);
    this.ignoreResult = headers.ignore_result ?? definition.ignoreResult;
  }

  /** Whether an error is stored: also that of a task without results, when it asks for it. */
  get storesErrors(): boolean {
    return !this.ignoreResult || this.definition.storeErrorsEvenIfIgnored;
  }

  get timeLimit(): number | null {
    const { options, timeLimit } = this.definition;
    return limit(this.headers.timelimit[0], options.timeLimit, timeLimit);
  }

  get softTimeLimit(): number | null {
    const { options, softTimeLimit } = this.definition;
    return limit(this.headers.timelimit[1], options.softTimeLimit, softTimeLimit);
  }

  get priority(): number | null {
    const { priority } = this.delivery.message.properties;
    return typeof priority === "number" ? priority : null;
  }

  get replyTo(): string | null {
    return replyAddress(this.delivery.message.properties, this.id).replyTo;
  }

  get correlationId(): string {
    return replyAddress(this.delivery.message.properties, this.id).correlationId;
  }

  isExpired(now = Date.now()): boolean {
    return this.expires !== null && now > this.expires;
  }

  acknowledge(): void {
    if (this.acknowledged) return;
    this.acknowledged = true;
    this.delivery.ack();
  }

  reject(requeue: boolean): void {
    if (this.acknowledged) return;
    this.acknowledged = true;
    this.delivery.reject({ requeue });
  }

  /** The sender's own headers; null when there are none. */
  customHeaders(): Record<string, unknown> | null {
    const own = Object.entries(this.headers).filter(
      ([name]) => !PROTOCOL_HEADERS.has(name) && name !== "redelivered" && !X_DEATH_HEADERS.has(name),
    );
    return own.length > 0 ? Object.fromEntries(own) : null;
  }

  /** What the task itself sees of its message. */
  taskRequest(args: unknown[], kwargs: Record<string, unknown>, embed: Embed): TaskRequest {
    // Not a copy: it is made for every task.
    return Object.assign(this.received(), {
      args,
      kwargs,
      callbacks: embed.callbacks as readonly SignatureData[] | null,
      errbacks: embed.errbacks as readonly SignatureData[] | null,
      chain: embed.chain as readonly SignatureData[] | null,
      chord: embed.chord as SignatureData | null,
      children: [],
    });
  }

  /** The same, as far as the body does not say it. */
  received(): ReceivedTask {
    const { headers, delivery } = this;
    return {
      id: this.id,
      name: this.name,
      task: this.task,
      rootId: headers.root_id ?? this.id,
      parentId: headers.parent_id,
      retries: headers.retries,
      eta: headers.eta,
      expires: headers.expires,
      group: headers.group,
      groupIndex: headers.group_index,
      correlationId: this.correlationId,
      replyTo: this.replyTo,
      origin: headers.origin ?? "",
      hostname: this.hostname,
      deliveryInfo: {
        exchange: delivery.exchange,
        routingKey: delivery.routingKey,
        priority: this.priority,
        redelivered: delivery.redelivered,
      },
      isEager: false,
      calledDirectly: false,
      lang: headers.lang,
      utc: this.utc,
      timelimit: headers.timelimit,
      timeLimit: headers.timelimit[0],
      softTimeLimit: headers.timelimit[1],
      ignoreResult: this.ignoreResult,
      shadow: headers.shadow,
      replacedTaskNesting: headers.replaced_task_nesting,
      stamps: headers.stamps,
      stampedHeaders: headers.stamped_headers,
      headers: this.customHeaders() ?? {},
      properties: delivery.message.properties,
      argsrepr: headers.argsrepr,
      kwargsrepr: headers.kwargsrepr,
    };
  }
}

/**
 * The caller's limit, if it is one of its own. A message also carries the limit that the task is defined with, which
 * remote control may have changed since.
 */
function limit(sent: number | null, defined: number | undefined, now: number | null): number | null {
  return sent === null || sent === defined ? now : sent;
}

/** Text without an offset is in the application's time zone. */
function time(header: string, text: string | null, timeZone: string): number | null {
  if (text === null) return null;
  try {
    return momentIn(text, timeZone);
  } catch (cause) {
    throw new InvalidTaskError(`invalid ${header} value ${JSON.stringify(text)}: not an ISO 8601 time`, { cause });
  }
}
