import type { Logger } from "../logger.ts";
import type { TaskRequest } from "./task-request.ts";

/** A logger that takes a message alone as well. */
export type TaskLogger = { [L in keyof Logger]: Logger[L] & ((message: string) => void) };

/** Which task a line is of; undefined outside of any. */
export type AskTask = () => Pick<TaskRequest, "id" | "name" | "task"> | undefined;

const LEVELS = ["debug", "info", "warn", "error", "fatal"] as const;

/**
 * A logger whose lines say which task they are of: in the fields `id` and `task`, and for people at their beginning.
 * Mirrors `celery/app/log.py TaskFormatter`.
 */
export function taskLogger(log: Logger, current: AskTask): TaskLogger {
  const lines = LEVELS.map((level) => {
    const line = (given: object | string, text?: string): void => {
      const task = current();
      const [fields, message] = typeof given === "string" ? [{}, given] : [given, text];
      if (!task) log[level](fields, message);
      else log[level]({ id: task.id, task: task.task, ...fields }, `${task.name}[${task.id}]: ${message ?? ""}`);
    };
    return [level, line];
  });
  return Object.fromEntries(lines) as TaskLogger;
}
