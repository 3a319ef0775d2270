import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Project, RunningCommand } from "../test/support/project.ts";
import type { PythonSide } from "./python.ts";

/**
 * Starts `celeriac worker` as a process of its own, with the tasks of `typescript/tasks.ts`, on the queue of a side that
 * Python could work for as well. Waits until it says that it is ready.
 * @param args more of the command's options
 */
export function startCeleriac(
  project: Project,
  { broker, backend, queue, settings }: PythonSide,
  args: readonly string[],
): Promise<RunningCommand> {
  project.write("tasks.ts", readFileSync(join(import.meta.dirname, "typescript/tasks.ts"), "utf8"));
  const worker = project.start(["-A", "./tasks", "worker", "-l", "INFO", ...args], {
    CELERY_BROKER_URL: broker,
    CELERY_RESULT_BACKEND: backend,
    CELERIAC_TASK_QUEUE: queue,
    CELERIAC_SETTINGS: JSON.stringify(settings ?? {}),
  });
  return worker.said(" ready.");
}
