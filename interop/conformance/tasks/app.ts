import { Celery, type Self, type Task } from "celeriac";

/** What Celery's suite configures its own worker with. */
export const app = new Celery("t.integration.tasks", {
  resultExtended: true,
  taskCreateMissingQueues: false,
  acceptContent: ["json"],
});

/** The name of one of the suite's tasks. */
export function named(name: string): string {
  return `t.integration.tasks.${name}`;
}

/** A task of the suite's, by the name of its function there. */
// biome-ignore lint/suspicious/noExplicitAny: the suite's Python tasks take anything
export function task(name: string, handler: (...args: any[]) => unknown, options: object = {}): Task {
  return app.task({ ...options, name: named(name) }, handler as never) as unknown as Task;
}

/** The same for one that is bound. */
export function bound(
  name: string,
  // biome-ignore lint/suspicious/noExplicitAny: the suite's Python tasks take anything
  handler: (self: Self, ...args: any[]) => unknown,
  options: object = {},
): Task {
  return app.task({ ...options, name: named(name), bind: true }, handler as never) as unknown as Task;
}
