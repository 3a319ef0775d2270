import { flaggedAsRevoked, revokedReply } from "../../protocol/control/replies.ts";
import { Terminated } from "../app/errors.ts";
import type { Request } from "../worker/request.ts";
import type { Command } from "./panel.ts";

/** The remote control commands of a worker, by name. Mirrors `celery/worker/control.py`. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ["ping", () => ({ ok: "pong" })],
  ["clock", ({ clock }) => ({ clock: clock.value })],
  ["hello", hello],
  ["revoke", revoke],
  ["terminate", (context, args) => revoke(context, { ...args, terminate: true })],
  ["revoked", ({ state }) => state.revoked.ids()],
  ["dump_revoked", ({ state }) => state.revoked.ids()],
  ["registered", ({ taskNames }) => taskNames()],
  ["dump_tasks", ({ taskNames }) => taskNames()],
]);

/** Tells a worker that starts which tasks are revoked, and takes those that it knows. */
const MAX_SHOWN = 100;

function hello({ hostname, settings, state, clock }: Parameters<Command>[0], args: Record<string, unknown>): unknown {
  if (args.from_node === hostname) return null;
  for (const id of idList(args.revoked)) state.revoked.add(id);
  state.revoked.purge();
  return {
    revoked: revokedReply(state.revoked.revocations(monotonic()), settings.compatibility),
    clock: clock.forward(),
  };
}

/** Seconds by the clock that Python's `time.monotonic` reads as well. */
function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}

async function revoke(context: Parameters<Command>[0], args: Record<string, unknown>): Promise<unknown> {
  const { state, log, settings } = context;
  const ids = idList(args.task_id);
  for (const id of ids) state.revoked.add(id);
  await context.markRevoked(ids.filter((id) => !state.active.has(state.requests.get(id) as Request)));
  if (!args.terminate) {
    log.info({ ids: ids.slice(0, MAX_SHOWN) }, `Tasks flagged as revoked: ${ids.slice(0, MAX_SHOWN).join(", ")}`);
    return { ok: flaggedAsRevoked(ids, settings.compatibility) };
  }
  const signal = typeof args.signal === "string" ? args.signal : "SIGTERM";
  const known = ids.map((id) => state.requests.get(id)).filter((request) => request !== undefined);
  for (const request of known) {
    log.info({ id: request.id, task: request.task }, `Terminating ${request.id} (${signal})`);
    request.end?.("terminated", new Terminated(signal));
  }
  return { ok: known.length > 0 ? `terminate: ${known.map(({ id }) => id).join(", ")}` : "terminate: tasks unknown" };
}

/** One id, a list of them, or older workers' mapping of ids to times. */
function idList(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return [...new Set(value.filter((id): id is string => typeof id === "string"))];
  return typeof value === "object" && value !== null ? Object.keys(value) : [];
}
