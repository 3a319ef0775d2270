import { withBuiltins } from "./builtins/builtin.ts";
import { builtinTasks } from "./builtins/builtins.ts";
import type { WorkerContext } from "./context.ts";
import { FollowUp } from "./follow-up.ts";
import { ResultWriter } from "./result-writer.ts";

/** The context with the tasks that every worker serves, whatever its application. */
export function servingBuiltins(context: WorkerContext): WorkerContext {
  const builtins = builtinTasks({
    worker: context,
    // Errbacks that are served here, built-in ones too, are called in place.
    failBody: (body, error) => new FollowUp(serving, new ResultWriter(serving)).failBody(body, error),
  });
  const serving: WorkerContext = { ...context, tasks: withBuiltins(context.tasks, builtins) };
  return serving;
}
