import { clone, type SignatureData } from "../../protocol/canvas/signature.ts";
import { isMapping } from "../../protocol/message/headers.ts";
import { repr } from "../../protocol/python/repr.ts";
import { TaskTypeError } from "./errors.ts";
import { camelCase, snakeCase } from "./settings.ts";
import type { Signature } from "./signature.ts";

/** How one task is sent: the options of Celery's `apply_async`, in camelCase. Durations are seconds. */
export interface SendOptions {
  kwargs?: Record<string, unknown>;
  /** Seconds from now until the task may run. */
  countdown?: number;
  /** When the task may run. */
  eta?: Date;
  /** Seconds from now, or the moment, after which the task is not run any more. */
  expires?: number | Date;
  /** The queue to send to, by name. */
  queue?: string;
  exchange?: string;
  routingKey?: string;
  /** 0 to 9. On RabbitMQ the highest number is served first, on Redis the lowest. */
  priority?: number;
  /** Called with the result when the task succeeds. */
  link?: Signature | Signature[];
  /** Called when the task fails. */
  linkError?: Signature | Signature[];
  /** Headers of one's own, beside those of the protocol. */
  headers?: Record<string, unknown>;
  /** A UUID unless given. */
  taskId?: string;
  /** True to store no result. */
  ignoreResult?: boolean;
  timeLimit?: number;
  softTimeLimit?: number;
  /** Name of a registered serializer: `json`, `msgpack`. */
  serializer?: string;
  compression?: string;
  /** The name to show in logs and monitors. */
  shadow?: string;
  /** False to give up on the first failure to publish. */
  retry?: boolean;
  /** In the place of `taskPublishRetryPolicy`, or of parts of it. */
  retryPolicy?: Record<string, unknown>;
  /** 1 or `transient`, 2 or `persistent`. */
  deliveryMode?: 1 | 2 | "transient" | "persistent";
  rootId?: string;
  parentId?: string;
  groupId?: string;
  groupIndex?: number;
  replyTo?: string;
  /** False to leave the result out of the running task's children. */
  addToParent?: boolean;
  /** Seconds that publishing may take, in the place of `taskPublishTimeoutMs`. */
  timeout?: number;
  [more: string]: unknown;
}

/** How a task runs where it is called. */
export interface ApplyOptions extends SendOptions {
  /** True to reject with what the task throws, in the place of a result that does: `taskEagerPropagates` unless given. */
  throw?: boolean;
  /** How often it was tried before. */
  retries?: number;
}

const SIGNATURE_OPTIONS = new Set(["link", "link_error", "chord", "chain"]);

/**
 * Options under the wire's names, signatures as data. Options that are null or undefined are left out.
 * @throws TaskTypeError for what are no options, or no signatures
 */
export function wireOptions(options: SendOptions): Record<string, unknown> {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TaskTypeError(`send options must be an object, not ${repr(options)}`);
  }
  const wire: Record<string, unknown> = {};
  for (const name of Object.keys(options)) {
    const value = options[name];
    if (value === undefined || value === null || name === "kwargs") continue;
    const wireName = snakeCase(name);
    wire[wireName] = SIGNATURE_OPTIONS.has(wireName) ? signatureData(value, name) : value;
  }
  return wire;
}

function signatureData(value: unknown, option: string): unknown {
  if (Array.isArray(value)) return value.map((one) => signatureData(one, option));
  const toJson = (value as { toJSON?: () => SignatureData }).toJSON;
  const data = typeof toJson === "function" ? toJson.call(value) : value;
  if (isMapping(data) && Array.isArray(data.args)) return clone(data as unknown as SignatureData);
  throw new TaskTypeError(`${option} must be a signature, such as task.s(), not ${repr(value)}`);
}

/** Positional arguments as they are sent; null and undefined are none. @throws TaskTypeError for what is no list */
export function positional(args: unknown): readonly unknown[] {
  if (args === undefined || args === null) return [];
  if (Array.isArray(args)) return args;
  throw new TaskTypeError(`task args must be an array, not ${repr(args)}; keyword arguments go into the option kwargs`);
}

/** Keyword arguments as they are sent; null and undefined are none. @throws TaskTypeError for what is no object */
export function keywords(kwargs: unknown): Record<string, unknown> {
  if (kwargs === undefined || kwargs === null) return {};
  if (typeof kwargs === "object" && !Array.isArray(kwargs)) return kwargs as Record<string, unknown>;
  throw new TaskTypeError(`task kwargs must be an object, not ${repr(kwargs)}`);
}

/** The names of {@link SendOptions} under which a wire option is known to an application. */
export function optionName(wireName: string): string {
  return camelCase(wireName);
}
