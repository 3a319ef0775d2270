import type { Command } from "../panel.ts";
import { EVENT_COMMANDS } from "./events.ts";
import { MEMORY_COMMANDS } from "./memory.ts";
import { POOL_COMMANDS } from "./pool.ts";
import { QUEUE_COMMANDS } from "./queues.ts";
import { REQUEST_COMMANDS } from "./requests.ts";
import { REVOKE_COMMANDS } from "./revoke.ts";
import { TASK_COMMANDS } from "./tasks.ts";
import { WORKER_COMMANDS } from "./worker.ts";

/** The remote control commands that every worker answers to. Mirrors `celery/worker/control.py`. */
export const COMMANDS: readonly Command[] = [
  ...WORKER_COMMANDS,
  ...TASK_COMMANDS,
  ...REQUEST_COMMANDS,
  ...REVOKE_COMMANDS,
  ...QUEUE_COMMANDS,
  ...POOL_COMMANDS,
  ...EVENT_COMMANDS,
  ...MEMORY_COMMANDS,
];
