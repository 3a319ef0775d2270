import { readControlRequest } from "../../../../protocol/control/pidbox.ts";
import { isMapping } from "../../../../protocol/message/headers.ts";
import { SerializerRegistry } from "../../../../protocol/serialization/registry.ts";
import { LamportClock } from "../../../../src/app/clock.ts";
import { TaskTypeError } from "../../../../src/app/errors.ts";
import type { Settings } from "../../../../src/app/settings.ts";
import { COMMANDS } from "../../../../src/control/commands/index.ts";
import { nodeMatcher } from "../../../../src/control/node-matcher.ts";
import { Panel } from "../../../../src/control/panel.ts";
import type { PanelContext } from "../../../../src/control/panel-context.ts";
import { SILENT } from "../../../../src/logger.ts";
import { WorkerState } from "../../../../src/worker/state.ts";
import { bytesTarget, type Target } from "../target.ts";
import { captured } from "../vectors.ts";
import { jsonMade } from "./messages.ts";

const serializers = new SerializerRegistry();
const accept = serializers.accept(["json"]);

const json = (body: Uint8Array): unknown =>
  serializers.decode({ body, contentType: "application/json", contentEncoding: "utf-8" }, accept);

const ID = "d0f4a1b2-0000-4000-8000-000000000000";
const REVOKE = { method: "revoke", arguments: { task_id: ID, terminate: true, signal: "SIGTERM" }, ticket: ID };
const TO = {
  destination: null,
  pattern: "celer*@h[o-s]?t",
  matcher: "glob",
  reply_to: { exchange: "e", routing_key: "r" },
};
const requests = [
  ...captured<{ text: string }>("pidbox").map(({ text }) => Buffer.from(text)),
  Buffer.from(JSON.stringify({ ...REVOKE, ...TO })),
  Buffer.from(
    JSON.stringify({ ...REVOKE, arguments: { task_id: [ID, "a"] }, ...TO, pattern: "(a|w)+@h.*", matcher: "pcre" }),
  ),
  Buffer.from(JSON.stringify({ method: "hello", arguments: { from_node: "a@b", revoked: { [ID]: 1.5 } }, ...TO })),
];

const panel = new Panel(COMMANDS);

/** Commands that reach for nothing that only a running worker has. */
const WITHOUT_PARTS = new Set(["ping", "clock", "hello", "registered", "revoke", "terminate", "revoked", "rate_limit"]);

/** Arguments that a command cannot use are answered so. */
async function replyOf(run: () => unknown): Promise<unknown> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof TaskTypeError || (error as Error).message.startsWith("there is no signal")) return error;
    throw error;
  }
}

const control = bytesTarget(
  "control",
  (random) => jsonMade(requests, random),
  async (bytes) => {
    const request = readControlRequest(json(bytes));
    if (request.pattern && request.matcher) nodeMatcher(request.pattern, request.matcher)("worker@host");
    const context = {
      hostname: "worker@host",
      settings: { compatibility: "5.7" } as Settings,
      state: new WorkerState(),
      clock: new LamportClock(),
      log: SILENT,
      tasks: new Map(),
      markRevoked: async () => {},
    } as unknown as PanelContext;
    const command = WITHOUT_PARTS.has(request.method) ? panel.get(request.method) : undefined;
    return { request, reply: await replyOf(() => command?.run(context, request.arguments)) };
  },
);

const events = captured<{ text: string }>("events").map(({ text }) => Buffer.from(text));

const event = bytesTarget(
  "event",
  (random) => jsonMade(events, random),
  (bytes) => {
    const value = json(bytes);
    const clock = new LamportClock();
    for (const item of Array.isArray(value) ? value : [value]) {
      if (!isMapping(item)) continue;
      if (typeof item.clock === "number") clock.adjust(item.clock);
      const before = clock.value;
      if (clock.forward() <= before) throw new Error(`the clock stands still at ${before}`);
    }
    return value;
  },
);

export const controlTargets: readonly Target[] = [control, event];
