import { Float } from "../../protocol/python/numbers.ts";
import type { Request } from "./request.ts";
import type { BodyReader } from "./task-body.ts";

/**
 * A task as remote control shows it. Mirrors `celery/worker/request.py Request.info`.
 * @param safe true for the arguments as the text that the sender wrote, without reading the message
 */
export async function requestInfo(
  request: Request,
  bodies: BodyReader,
  safe: boolean,
): Promise<Record<string, unknown>> {
  const { headers, delivery, timeStart } = request;
  const [args, kwargs] = safe ? [headers.argsrepr, headers.kwargsrepr] : await argumentsOf(request, bodies);
  return {
    id: request.id,
    name: request.name,
    args,
    kwargs,
    type: request.task,
    hostname: request.hostname,
    time_start: timeStart === null ? null : new Float(timeStart),
    acknowledged: request.acknowledged,
    delivery_info: {
      exchange: delivery.exchange,
      routing_key: delivery.routingKey,
      priority: request.priority,
      redelivered: delivery.redelivered,
    },
    worker_pid: timeStart === null ? null : request.workerPid,
  };
}

/** What cannot be read is shown as the sender wrote it. */
async function argumentsOf({ body, delivery, headers }: Request, bodies: BodyReader): Promise<[unknown, unknown]> {
  try {
    const [args, kwargs] = body ?? (await bodies.readForward(delivery.message));
    return [args, kwargs];
  } catch {
    return [headers.argsrepr, headers.kwargsrepr];
  }
}
