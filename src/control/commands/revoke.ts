import { constants } from "node:os";
import { z } from "zod";
import { flaggedAsRevoked } from "../../../protocol/control/replies.ts";
import { repr } from "../../../protocol/python/repr.ts";
import { Terminated } from "../../app/errors.ts";
import type { Request } from "../../worker/request.ts";
import { idList, matchingStamps, stampList } from "../../worker/revoked.ts";
import { type Command, command, ok } from "../panel.ts";
import type { PanelContext } from "../panel-context.ts";
import { flag, text } from "./readers.ts";

/** How many ids a line of the log holds at the most. */
const MAX_SHOWN = 100;

const signal = z.union([z.string(), z.number()]).nullish();
const taskId = z.union([z.string(), z.array(z.string())]);

/** Commands that keep tasks from running, or end them. */
export const REVOKE_COMMANDS: readonly Command[] = [
  command(
    {
      type: "control",
      name: "revoke",
      help: "Revoke task by task id (or list of ids).",
      signature: "[id1 [id2 [... [idN]]]]",
      variadic: "task_id",
      params: z.object({ task_id: taskId, terminate: flag, signal }),
    },
    (context, args) => revoke(context, idList(args.task_id), args.terminate ? (args.signal ?? "SIGTERM") : null),
  ),
  command(
    {
      type: "control",
      name: "terminate",
      help: "Terminate task by task id (or list of ids).",
      signature: "<signal> [id1 [id2 [... [idN]]]]",
      args: [["signal", text]],
      variadic: "task_id",
      params: z.object({ task_id: taskId, signal }),
    },
    (context, args) => revoke(context, idList(args.task_id), args.signal ?? "SIGTERM"),
  ),
  command(
    {
      type: "control",
      name: "revoke_by_stamped_headers",
      help: "Revoke task by header (or list of headers).",
      signature: "[key1=value1 [key2=value2 [... [keyN=valueN]]]]",
      variadic: "headers",
      params: z.object({
        headers: z.union([z.record(z.string(), z.unknown()), z.array(z.string())]),
        terminate: flag,
        signal,
      }),
    },
    (context, args) => {
      const headers = Array.isArray(args.headers) ? pairs(args.headers) : args.headers;
      return revokeByStamps(context, headers, args.terminate ? (args.signal ?? "SIGTERM") : null);
    },
  ),
  command(
    {
      type: "inspect",
      name: "revoked",
      alias: "dump_revoked",
      help: "List of revoked task-ids.",
      params: z.object({}),
    },
    ({ state }) => state.revoked.ids(),
  ),
];

/** @param signalled what those that run are ended with; null to let them run */
async function revoke(context: PanelContext, ids: string[], signalled: string | number | null): Promise<unknown> {
  const { state, log, settings } = context;
  state.revoke(ids);
  await context.markRevoked(ids.filter((id) => !state.active.has(state.requests.get(id) as Request)));
  if (signalled === null) {
    log.info({ ids: ids.slice(0, MAX_SHOWN) }, `Tasks flagged as revoked: ${ids.slice(0, MAX_SHOWN).join(", ")}`);
    return ok(flaggedAsRevoked(ids, settings.compatibility));
  }
  const name = signalName(signalled);
  const known = ids.map((id) => state.requests.get(id)).filter((request) => request !== undefined);
  for (const request of known) terminate(context, request, name);
  return ok(known.length > 0 ? `terminate: ${known.map(({ id }) => id).join(", ")}` : "terminate: tasks unknown");
}

function revokeByStamps(
  context: PanelContext,
  headers: Record<string, unknown>,
  signalled: string | number | null,
): unknown {
  const { state } = context;
  const name = signalName(signalled ?? "SIGTERM");
  for (const [header, stamps] of Object.entries(headers)) state.revokeStamps(header, stampList(stamps));
  if (signalled === null) return ok(`headers ${repr(headers)} flagged as revoked, but not terminated`);
  const terminated = new Map<string, Set<unknown>>();
  for (const request of [...state.active]) {
    for (const [header, stamps] of Object.entries(headers)) {
      const matching = matchingStamps(request.headers.stamps[header], stampList(stamps));
      if (matching.length === 0) continue;
      terminated.set(header, new Set([...(terminated.get(header) ?? []), ...matching]));
      terminate(context, request, name);
    }
  }
  if (terminated.size === 0) return ok(`headers ${repr(headers)} were not terminated`);
  const shown = Array.from(terminated, ([header, stamps]) => `${repr(header)}: ${set([...stamps])}`);
  return ok(`headers {${shown.join(", ")}} revoked`);
}

function terminate({ log }: PanelContext, request: Request, name: string): void {
  log.info({ id: request.id, task: request.task }, `Terminating ${request.id} (${name})`);
  request.end?.("terminated", new Terminated(name));
}

/** @throws TypeError when there is no such signal */
function signalName(given: string | number): string {
  const { signals } = constants;
  const name =
    typeof given === "number"
      ? Object.keys(signals).find((known) => signals[known as NodeJS.Signals] === given)
      : given.toUpperCase().replace(/^(?!SIG)/, "SIG");
  if (name !== undefined && name in signals) return name;
  throw new TypeError(`there is no signal ${given}`);
}

/** `["key=value"]` as a mapping. */
function pairs(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(texts.map((given) => [given.split("=")[0] ?? "", given.split("=")[1] ?? ""]));
}

/** As Python shows a set. */
function set(values: readonly unknown[]): string {
  return values.length === 0 ? "set()" : `{${values.map((value) => repr(value)).join(", ")}}`;
}
