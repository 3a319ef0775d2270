import type { Broker } from "../brokers/broker.ts";
import type { Autoscaler, Electorate, PanelContext } from "../control/panel-context.ts";
import type { EventDispatcher } from "../events/dispatcher.ts";
import type { Pool } from "../pools/pool.ts";
import type { TaskConsumer } from "./consumer.ts";
import type { WorkerContext } from "./context.ts";
import { requestInfo } from "./request-info.ts";
import { markRevoked } from "./revocation.ts";
import type { WorkerState } from "./state.ts";
import { BodyReader } from "./task-body.ts";

/** The parts of a worker that remote control reaches. */
export interface WorkerParts {
  hostname: string;
  state: WorkerState;
  broker: Broker;
  consumer: TaskConsumer;
  pool: Pool;
  events: EventDispatcher;
  autoscaler: Autoscaler | undefined;
  gossip: Electorate | undefined;
  uptime(): number;
  heartbeat(): void;
  shutdown(): void;
}

/** What control commands see of a worker. */
export function panelContext(context: WorkerContext, parts: WorkerParts): PanelContext {
  const bodies = new BodyReader(context);
  const { uptime, ...rest } = parts;
  return {
    ...rest,
    get uptime() {
      return uptime();
    },
    clock: context.clock,
    log: context.log,
    settings: context.settings,
    givenSettings: context.givenSettings,
    tasks: context.tasks,
    queues: context.queues,
    report: context.report,
    info: (request, safe = false) => requestInfo(request, bodies, safe),
    markRevoked: (taskIds) => markRevoked(context, taskIds),
  };
}
