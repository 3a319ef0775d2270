import { type Compatibility, writes } from "../compatibility.ts";
import { argsRepr, saferepr } from "../python/saferepr.ts";
import type { Embed, TaskBody } from "./embed.ts";
import type { TaskHeaders } from "./headers.ts";
import { etaHeader, expiresHeader, type TaskCall, type TaskOptions } from "./task-options.ts";

/** Longest `argsrepr` and `kwargsrepr`, in characters. */
const REPR_MAX_SIZE = 1024;

/** Headers that came with later versions, which left out older ones unless they say something. */
type LaterHeaders = "ignore_result" | "replaced_task_nesting" | "stamped_headers" | "stamps";

/** A task message before it is serialized. */
export interface TaskMessageV2 {
  headers: Omit<TaskHeaders, LaterHeaders> & Partial<Pick<TaskHeaders, LaterHeaders>>;
  properties: { correlation_id: string; reply_to: string };
  body: TaskBody;
}

/**
 * A task message of protocol 2: everything about the task in the headers, the arguments and what follows in the body.
 * Absent values are written as null, never left out. Mirrors `celery/app/amqp.py as_task_v2`.
 *
 * @param compatibility headers that this Celery does not write are left out, unless they say something
 * @throws RangeError for a countdown or expiry out of range
 */
export function asTaskV2(
  name: string,
  call: TaskCall,
  options: TaskOptions,
  compatibility: Compatibility = "5.7",
): TaskMessageV2 {
  const { taskId, args = [], kwargs = {}, now } = call;
  const levels = options.reprMaxLevels ?? 3;
  const embed: Embed = {
    callbacks: options.callbacks ?? null,
    errbacks: options.errbacks ?? null,
    chain: options.chain ?? null,
    chord: options.chord ?? null,
  };
  return {
    headers: {
      lang: "py",
      task: name,
      id: taskId,
      shadow: options.shadow ?? null,
      eta: etaHeader(options, now),
      expires: expiresHeader(options, now),
      group: options.groupId ?? null,
      group_index: options.groupIndex ?? null,
      retries: options.retries ?? 0,
      timelimit: [options.timeLimit ?? null, options.softTimeLimit ?? null],
      root_id: call.rootId || taskId,
      parent_id: call.parentId ?? null,
      argsrepr: options.argsrepr ?? argsRepr(args, REPR_MAX_SIZE, levels),
      kwargsrepr: options.kwargsrepr ?? saferepr(kwargs, REPR_MAX_SIZE, levels),
      origin: options.origin,
      ...laterHeaders(options, compatibility),
    },
    properties: { correlation_id: taskId, reply_to: options.replyTo ?? "" },
    body: [args as unknown[], kwargs, embed],
  };
}

function laterHeaders(options: TaskOptions, compatibility: Compatibility): Partial<Pick<TaskHeaders, LaterHeaders>> {
  const { ignoreResult = null, replacedTaskNesting = 0, stampedHeaders = null, stamps = {} } = options;
  if (writes(compatibility, "stampHeaders")) {
    return {
      ignore_result: ignoreResult,
      replaced_task_nesting: replacedTaskNesting,
      stamped_headers: stampedHeaders,
      stamps,
    };
  }
  return {
    ...((ignoreResult || writes(compatibility, "ignoreResultHeader")) && { ignore_result: ignoreResult }),
    ...(replacedTaskNesting > 0 && { replaced_task_nesting: replacedTaskNesting }),
    ...(stampedHeaders?.length && { stamped_headers: stampedHeaders, stamps }),
  };
}
