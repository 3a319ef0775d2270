import { z } from "zod";
import { exceptionRepr } from "../../../protocol/result/exception.ts";
import { pythonException } from "../../app/exception.ts";
import { rate } from "../../app/rate.ts";
import { camelCase } from "../../app/settings.ts";
import type { TaskDefinition } from "../../app/task.ts";
import { type Command, command, nok, ok } from "../panel.ts";
import { flag, float, text } from "./readers.ts";

/** What `registered` shows of each task unless it is asked for something else. */
const SHOWN_ATTRIBUTES = ["exchange", "routing_key", "rate_limit"];

/** Commands about the tasks that a worker has registered. */
export const TASK_COMMANDS: readonly Command[] = [
  command(
    {
      type: "inspect",
      name: "registered",
      alias: "dump_tasks",
      help: "List of registered tasks.",
      signature: "[attr1 [attr2 [... [attrN]]]]",
      variadic: "taskinfoitems",
      params: z.object({ taskinfoitems: z.array(z.unknown()).nullish(), builtins: flag }),
    },
    ({ tasks }, { taskinfoitems, builtins }) => {
      const asked = (taskinfoitems ?? []).filter((item) => typeof item === "string" && !item.startsWith("_"));
      const items = taskinfoitems?.length ? (asked as string[]) : SHOWN_ATTRIBUTES;
      return [...tasks.values()]
        .filter(({ name }) => builtins || !name.startsWith("celery."))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map((definition) => described(definition, items));
    },
  ),
  command(
    {
      type: "control",
      name: "rate_limit",
      help: "Tell worker(s) to modify the rate limit for a task by type.",
      signature: "<task_name> <rate_limit (e.g., 5/s | 5/m | 5/h)>",
      args: [
        ["task_name", text],
        ["rate_limit", text],
      ],
      params: z.object({ task_name: z.string(), rate_limit: z.union([z.string(), z.number(), z.null()]) }),
    },
    ({ tasks, consumer, log }, { task_name, rate_limit }) => {
      let perSecond: number;
      try {
        perSecond = rate(rate_limit);
      } catch (error) {
        return nok(`Invalid rate limit string: ${exceptionRepr(pythonException(error, ""))}`);
      }
      const definition = tasks.get(task_name);
      if (!definition) {
        log.error({ task: task_name }, `Rate limit attempt for unknown task ${task_name}`);
        return nok("unknown task");
      }
      definition.rateLimit = rate_limit;
      consumer.updateRateLimit(definition);
      if (perSecond === 0) {
        log.info({ task: task_name }, `Rate limits disabled for tasks of type ${task_name}`);
        return ok("rate limit disabled successfully");
      }
      log.info({ task: task_name }, `New rate limit for tasks of type ${task_name}: ${rate_limit}.`);
      return ok("new rate limit set successfully");
    },
  ),
  command(
    {
      type: "control",
      name: "time_limit",
      help: "Tell worker(s) to modify the time limit for task by type.",
      signature: "<task_name> <soft_secs> [hard_secs]",
      args: [
        ["task_name", text],
        ["soft", float],
        ["hard", float],
      ],
      params: z.object({
        task_name: z.string().nullish(),
        hard: z.number().nonnegative().nullish(),
        soft: z.number().nonnegative().nullish(),
      }),
    },
    ({ tasks, log }, { task_name, hard = null, soft = null }) => {
      const definition = tasks.get(task_name ?? "");
      if (!definition) {
        log.error({ task: task_name }, `Change time limit attempt for unknown task ${task_name}`);
        return nok("unknown task");
      }
      definition.softTimeLimit = soft;
      definition.timeLimit = hard;
      log.info({ task: task_name }, `New time limits for tasks of type ${task_name}: soft=${soft} hard=${hard}`);
      return ok("time limits set successfully");
    },
  ),
];

/** `tasks.add [rate_limit=10/m]` */
function described(definition: TaskDefinition, items: readonly string[]): string {
  const fields = items.flatMap((item) => {
    const value = attribute(definition, camelCase(item));
    return value === undefined || value === null ? [] : [`${item}=${shown(value)}`];
  });
  return fields.length > 0 ? `${definition.name} [${fields.join(" ")}]` : definition.name;
}

function attribute(definition: TaskDefinition, name: string): unknown {
  const own = (definition as unknown as Record<string, unknown>)[name];
  return own ?? (definition.options as unknown as Record<string, unknown>)[name];
}

/** As Python's `str()` shows it. */
function shown(value: unknown): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  return String(value);
}
