import type { TaskCall, TaskOptions } from "../../protocol/message/task-options.ts";
import { asTaskV1 } from "../../protocol/message/v1.ts";
import { asTaskV2, type TaskMessageV2 } from "../../protocol/message/v2.ts";
import { argsRepr, saferepr } from "../../protocol/python/saferepr.ts";
import type { Settings } from "./settings.ts";

/** A task message of either protocol, before it is serialized. */
export interface TaskMessage {
  headers: Record<string, unknown>;
  properties: { correlation_id: string; reply_to: string };
  body: unknown;
  /** What the event `task-sent` says of it, but for where it went. */
  sent(): Record<string, unknown>;
}

/** Writes a task by `taskProtocol`. @throws RangeError for a countdown or expiry out of range */
export function taskMessage(name: string, call: TaskCall, options: TaskOptions, settings: Settings): TaskMessage {
  if (settings.taskProtocol === 1) return messageV1(name, call, options, settings.enableUtc);
  const { headers, properties, body } = asTaskV2(name, call, options, settings.compatibility);
  return { headers, properties, body, sent: () => sentV2(headers) };
}

function sentV2(headers: TaskMessageV2["headers"]): Record<string, unknown> {
  return {
    uuid: headers.id,
    root_id: headers.root_id,
    parent_id: headers.parent_id,
    name: headers.task,
    args: headers.argsrepr,
    kwargs: headers.kwargsrepr,
    retries: headers.retries,
    eta: headers.eta,
    expires: headers.expires,
  };
}

function messageV1(name: string, call: TaskCall, options: TaskOptions, utc: boolean): TaskMessage {
  const message = asTaskV1(name, call, options, utc);
  const { id, args, kwargs, retries, eta, expires } = message.body;
  const sent = { uuid: id, name, retries, eta, expires };
  return { ...message, sent: () => ({ ...sent, args: argsRepr(args, 0), kwargs: saferepr(kwargs) }) };
}
