import type { EventDispatcher } from "../events/dispatcher.ts";
import type { Logger } from "../logger.ts";
import type { Request } from "./request.ts";

/** Tells of tasks: in the log, in events, and to the broker where that is an event too. */
export class TaskVoice {
  readonly #logger: Logger;
  readonly #events: EventDispatcher;

  constructor(logger: Logger, events: EventDispatcher) {
    this.#logger = logger;
    this.#events = events;
  }

  event(request: Request, type: string, fields: Record<string, unknown>): void {
    if (request.definition.sendEvents) this.#events.send(type, { uuid: request.id, ...fields });
  }

  log(request: Request, level: "info" | "warn" | "error", text: string, fields: Record<string, unknown> = {}): void {
    this.#logger[level](
      { id: request.id, task: request.task, ...fields },
      `Task ${request.name}[${request.id}] ${text}`,
    );
  }

  /** Rejects the message, unless it was settled before. */
  reject(request: Request, requeue: boolean): void {
    if (request.acknowledged) return;
    request.reject(requeue);
    this.event(request, "task-rejected", { requeue });
  }
}
