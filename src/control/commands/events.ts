import { z } from "zod";
import { revokedReply } from "../../../protocol/control/replies.ts";
import { type Command, command, ok } from "../panel.ts";

const none = z.object({});

/** Commands about events, and what orders them. */
export const EVENT_COMMANDS: readonly Command[] = [
  command(
    {
      type: "control",
      name: "enable_events",
      help: "Tell worker(s) to send task-related events.",
      params: none,
    },
    ({ events, log }) => {
      if (!events.enable("task")) return ok("task events already enabled");
      log.info({}, "Events of group {task} enabled by remote.");
      return ok("task events enabled");
    },
  ),
  command(
    {
      type: "control",
      name: "disable_events",
      help: "Tell worker(s) to stop sending task-related events.",
      params: none,
    },
    ({ events, log }) => {
      if (!events.disable("task")) return ok("task events already disabled");
      log.info({}, "Events of group {task} disabled by remote.");
      return ok("task events disabled");
    },
  ),
  command(
    {
      type: "control",
      name: "heartbeat",
      help: "Tell worker(s) to send event heartbeat immediately.",
      params: none,
    },
    ({ heartbeat }) => {
      heartbeat();
      return null;
    },
  ),
  command({ type: "inspect", name: "clock", help: "Get current logical clock value.", params: none }, ({ clock }) => ({
    clock: clock.value,
  })),
  command(
    {
      type: "control",
      name: "election",
      help: "Hold election.",
      params: z.object({ id: z.string(), topic: z.string(), action: z.unknown().optional() }),
    },
    ({ gossip }, { id, topic, action }) => {
      gossip?.election(id, topic, action ?? null);
      return null;
    },
  ),
  command(
    {
      type: "inspect",
      name: "hello",
      help: "Request mingle sync-data.",
      visible: false,
      params: z.object({ from_node: z.string(), revoked: z.unknown().optional() }),
    },
    ({ hostname, settings, state, clock, log }, { from_node, revoked }) => {
      if (from_node === hostname) return null;
      log.info({}, `sync with ${from_node}`);
      state.mergeRevoked(revoked);
      state.revoked.purge();
      return {
        revoked: revokedReply(state.revoked.revocations(monotonic()), settings.compatibility),
        clock: clock.forward(),
      };
    },
  ),
];

/** Seconds by the clock that Python's `time.monotonic` reads as well. */
function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}
