import type { LamportClock } from "../app/clock.ts";
import type { Queues } from "../app/queues.ts";
import type { Settings } from "../app/settings.ts";
import type { TaskDefinition } from "../app/task.ts";
import type { Broker } from "../brokers/broker.ts";
import type { EventDispatcher } from "../events/dispatcher.ts";
import type { Logger } from "../logger.ts";
import type { Pool } from "../pools/pool.ts";
import type { TaskConsumer } from "../worker/consumer.ts";
import type { Request } from "../worker/request.ts";
import type { WorkerState } from "../worker/state.ts";

/** What keeps the pool between two sizes. */
export interface Autoscaler {
  /** Changes either bound, or both. @returns both */
  update(max: number | null, min: number | null): { max: number; min: number };
  info(): { max: number; min: number; current: number; qty: number };
}

/** What takes part in elections among workers. */
export interface Electorate {
  /** Asks all workers to choose one of them, which then does the action. */
  election(id: string, topic: string, action: unknown): void;
}

/** What a control command can see of its worker, and do with it. */
export interface PanelContext {
  readonly hostname: string;
  readonly state: WorkerState;
  readonly clock: LamportClock;
  readonly log: Logger;
  readonly settings: Settings;
  /** Names of the settings that were given. */
  readonly givenSettings: readonly string[];
  readonly tasks: Pick<ReadonlyMap<string, TaskDefinition>, "get"> & { values(): Iterable<TaskDefinition> };
  readonly queues: Queues;
  readonly broker: Broker;
  readonly consumer: TaskConsumer;
  readonly pool: Pool;
  readonly events: EventDispatcher;
  readonly autoscaler: Autoscaler | undefined;
  readonly gossip: Electorate | undefined;
  /** Seconds since the worker started. */
  readonly uptime: number;
  /** What a bug report needs. */
  report(): string;
  /** A task as others are shown it; `safe` leaves the arguments as the text that the sender wrote. */
  info(request: Request, safe?: boolean): Promise<Record<string, unknown>>;
  /** Stores REVOKED for tasks that no worker has begun. */
  markRevoked(taskIds: readonly string[]): Promise<void>;
  /** Sends a `worker-heartbeat` now. */
  heartbeat(): void;
  /** Stops the worker warm, in the background. */
  shutdown(): void;
}
