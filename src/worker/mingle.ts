import type { Broker } from "../brokers/broker.ts";
import type { WorkerContext } from "./context.ts";
import type { WorkerState } from "./state.ts";

/** Transports on which workers hear each other in time. */
const TRANSPORTS: ReadonlySet<string> = new Set(["amqp", "redis"]);

/**
 * Asks the other workers which tasks are revoked and what their clocks say, and tells them what this one knows.
 * Never rejects. Mirrors `celery/worker/consumer/mingle.py`.
 */
export async function mingle(
  { control, clock, log }: Pick<WorkerContext, "control" | "clock" | "log">,
  { transport }: Pick<Broker, "transport">,
  hostname: string,
  state: WorkerState,
): Promise<void> {
  if (!TRANSPORTS.has(transport)) return;
  log.info({}, "mingle: searching for neighbors");
  try {
    const replies = Object.entries((await control.inspect({ timeout: 1 }).hello(hostname, state.revoked.ids())) ?? {});
    const neighbours = replies.filter(([node, reply]) => node !== hostname && isMapping(reply));
    for (const [, reply] of neighbours) {
      const { clock: theirs, revoked } = reply as { clock?: unknown; revoked?: unknown };
      if (typeof theirs === "number") clock.adjust(theirs);
      else clock.forward();
      state.mergeRevoked(revoked);
    }
    const found = neighbours.length > 0 ? `sync with ${neighbours.length} nodes` : "all alone";
    log.info({ nodes: neighbours.map(([node]) => node) }, `mingle: ${found}`);
  } catch (error) {
    log.warn({ err: error }, `mingle: nobody could be asked: ${(error as Error).message}`);
  }
}

function isMapping(value: unknown): boolean {
  return typeof value === "object" && value !== null && !("error" in value);
}
