import type { Queue } from "../../protocol/transport/entities.ts";
import { type PoolName, poolName } from "../adapters.ts";
import { ImproperlyConfigured } from "../app/errors.ts";
import type { Settings } from "../app/settings.ts";
import type { WorkerContext } from "./context.ts";

/** How a worker works. */
export interface WorkerOptions {
  /**
   * How many tasks run at a time: `workerConcurrency`, or as many as there are processors, ten times that in the pool
   * `async`.
   */
  concurrency?: number;
  /** The pool grows and shrinks between these two with the tasks in hand, in the place of `concurrency`. */
  autoscale?: { max: number; min: number };
  /** Names of the queues to take from: those of `taskQueues`, or the default one. */
  queues?: readonly string[];
  /** Names of queues among them not to take from. */
  excludeQueues?: readonly string[];
  /**
   * Where tasks run: `async` or `solo` in this process, `threads`, or `processes`, whose tasks may block and can be
   * killed. `workerPool` unless given.
   */
  pool?: string;
  /**
   * The module that the children of `threads` and `processes` import: it exports this application, and starts nothing
   * by itself. A path or a `file:` URL, with the export behind a colon where there are several.
   */
  module?: string | URL;
  /** More modules for those children to import. */
  include?: readonly string[];
  /** What the command line says that those children have to know. */
  childOptions?: Readonly<Record<string, unknown>>;
  /** How many tasks a child runs before it is replaced: `workerMaxTasksPerChild`. */
  maxTasksPerChild?: number;
  /** KiB of memory after which a child is replaced: `workerMaxMemoryPerChild`. */
  maxMemoryPerChild?: number;
  /** The node's name, as `-n` takes it: `%h`, `%n` and `%d` are filled in, a missing host is added. */
  hostname?: string;
  /** True to send events about tasks: `workerSendTaskEvents`. */
  taskEvents?: boolean;
  prefetchMultiplier?: number;
  /** True to take a task only when it can run at once, on Redis: `workerDisablePrefetch` unless given. */
  disablePrefetch?: boolean;
  /** True to drop all messages in the queues first. */
  purge?: boolean;
  /** Path of the file that keeps revoked tasks between two runs, filled in as `hostname` is: `workerStateDb`. */
  stateDb?: string;
  /** True to ask no other workers at the start which tasks are revoked. */
  withoutMingle?: boolean;
  /** True to take no part in what the workers tell each other, elections included. */
  withoutGossip?: boolean;
  /** Seconds between heartbeat events; 2 unless given. */
  heartbeatInterval?: number;
  withoutHeartbeat?: boolean;
  /** Seconds: the hard limit of tasks that have none of their own. */
  timeLimit?: number;
  /** Seconds: the soft limit of tasks that have none of their own. */
  softTimeLimit?: number;
}

/**
 * The pool that a worker is to have. Children need a module to import; without one, Celery's default falls back to what
 * needs none.
 * @throws ImproperlyConfigured
 */
export function poolOf(context: WorkerContext, options: WorkerOptions): PoolName {
  const { settings, log } = context;
  const asked = options.pool ?? settings.workerPool;
  const name = poolName(asked);
  if (options.module !== undefined || name === "async" || name === "solo") return name;
  if (asked === "prefork") {
    log.warn({}, "pool prefork needs the option module to have child processes: tasks run in the pool async");
    return "async";
  }
  throw new ImproperlyConfigured(
    `pool ${asked} needs the option module: the path or URL of a module which exports the application ${context.name}, for its children to import`,
  );
}

/** What a child of the pool is told at its start; `src/cli/pool-child.ts` reads it. */
export function childData(context: WorkerContext, options: WorkerOptions, hostname: string): unknown {
  const { module, include = [], childOptions = {} } = options;
  const given = module instanceof URL ? module.href : module;
  return { module: given, app: context.name, include: [...include], hostname, ...childOptions };
}

/** The queue that leads to one worker alone. Mirrors `celery/utils/nodenames.py worker_direct`. */
export function directQueue(hostname: string): Queue {
  const exchange: Queue["exchange"] = {
    name: "C.dq2",
    type: "direct",
    durable: true,
    autoDelete: false,
    arguments: {},
  };
  const own = { durable: true, exclusive: false, autoDelete: false, arguments: {} };
  return { name: `${hostname}.dq2`, exchange, routingKey: hostname, ...own };
}

/** The time limits among the options, as settings. */
export function limitsOf({ timeLimit, softTimeLimit }: WorkerOptions): Partial<Settings> {
  return {
    ...(timeLimit !== undefined && { taskTimeLimit: timeLimit }),
    ...(softTimeLimit !== undefined && { taskSoftTimeLimit: softTimeLimit }),
  };
}
