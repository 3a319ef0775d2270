import { z } from "zod";
import type { Request } from "../../worker/request.ts";
import type { WorkerState } from "../../worker/state.ts";
import { type Command, command } from "../panel.ts";
import { flag } from "./readers.ts";

const none = z.object({});

/** What the timer of Celery's worker gives tasks with a time to wait for. */
const SCHEDULE_PRIORITY = 6;

/** Commands about the tasks that a worker has in hand. */
export const REQUEST_COMMANDS: readonly Command[] = [
  command(
    {
      type: "inspect",
      name: "active",
      alias: "dump_active",
      help: "List of tasks currently being executed.",
      params: z.object({ safe: flag }),
    },
    ({ state, info }, { safe }) => Promise.all(Array.from(state.active, (request) => info(request, safe))),
  ),
  command(
    {
      type: "inspect",
      name: "reserved",
      alias: "dump_reserved",
      help: "List of currently reserved tasks, not including scheduled/active.",
      params: none,
    },
    ({ state, info }) =>
      Promise.all([...state.reserved].filter((request) => !state.active.has(request)).map((request) => info(request))),
  ),
  command(
    {
      type: "inspect",
      name: "scheduled",
      alias: "dump_schedule",
      help: "List of currently scheduled ETA/countdown tasks.",
      params: none,
    },
    ({ consumer, info }) =>
      Promise.all(
        consumer.scheduled().map(async (request) => ({
          eta: request.headers.eta,
          priority: SCHEDULE_PRIORITY,
          request: await info(request),
        })),
      ),
  ),
  command(
    {
      type: "inspect",
      name: "query_task",
      help: "Query for task information by id.",
      signature: "[id1 [id2 [... [idN]]]]",
      variadic: "ids",
      params: z.object({ ids: z.union([z.string(), z.array(z.string())]) }),
    },
    async ({ state, info }, { ids }) => {
      const found = [ids].flat().flatMap((id) => state.requests.get(id) ?? []);
      const entries = found.map(async (request) => [request.id, [stateOf(state, request), await info(request)]]);
      return Object.fromEntries(await Promise.all(entries));
    },
  ),
];

function stateOf(state: WorkerState, request: Request): string {
  if (state.active.has(request)) return "active";
  if (state.reserved.has(request)) return "reserved";
  return state.scheduled.has(request) ? "scheduled" : "ready";
}
