import type { LamportClock } from "../app/clock.ts";
import type { Settings } from "../app/settings.ts";
import type { Logger } from "../logger.ts";
import type { Request } from "../worker/request.ts";
import type { WorkerState } from "../worker/state.ts";

/** What a control command can see of its worker, and do with it. */
export interface PanelContext {
  readonly hostname: string;
  readonly settings: Settings;
  readonly state: WorkerState;
  readonly clock: LamportClock;
  readonly log: Logger;
  /** Names of the registered tasks. */
  taskNames(): string[];
  scheduled(): Request[];
  /** Stores REVOKED for tasks that no worker has begun. */
  markRevoked(taskIds: readonly string[]): Promise<void>;
}

/** A remote control command: what it answers, or undefined to leave the answering to others. */
export type Command = (context: PanelContext, args: Record<string, unknown>) => unknown;
