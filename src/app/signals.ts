import type { Logger } from "../logger.ts";
import type { Settings } from "./settings.ts";
import type { TaskRequest } from "./task-request.ts";

/** A task as it is known before its body was read. */
export type ReceivedTask = Omit<
  TaskRequest,
  "args" | "kwargs" | "callbacks" | "errbacks" | "chain" | "chord" | "children"
>;

/** An error that ended a run. Mirrors `billiard/einfo.py ExceptionInfo`. */
export interface ErrorInfo {
  readonly exception: unknown;
  /** As it is stored. */
  readonly traceback: string;
}

/** A worker as the receivers of its signals see it. */
export interface SignalledWorker {
  /** The node's name. */
  readonly hostname: string;
  readonly pool: string;
  readonly concurrency: number;
  readonly queues: readonly string[];
}

/** A message that no task came of. */
export interface SignalledMessage {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly body: Uint8Array;
}

interface PublishEvent {
  /** The task's name. */
  sender: string;
  /** `[args, kwargs, embed]`, or all of the task with protocol 1. */
  body: unknown;
  exchange: string;
  routingKey: string;
  headers: Record<string, unknown>;
  properties: Record<string, unknown>;
}

interface TaskEvent {
  /** The task's name. */
  sender: string;
  taskId: string;
  args: unknown[];
  kwargs: Record<string, unknown>;
}

interface WorkerEvent {
  /** The node's name. */
  sender: string;
  instance: SignalledWorker;
}

/** Celery's signals, and what each tells. Mirrors `celery/signals.py`; names are Celery's, durations are seconds. */
export interface SignalEvents {
  /** A task is about to be sent. What is changed in `headers` and `properties` is sent so. */
  before_task_publish: PublishEvent & { declare: readonly string[]; retryPolicy: Record<string, unknown> };
  /** The broker has the task. */
  after_task_publish: PublishEvent;
  /** A worker took a task off its queue; it may wait for its time, or for a slot. */
  task_received: { sender: string; request: ReceivedTask };
  /** Where the handler runs, just before it. */
  task_prerun: TaskEvent;
  /** Where the handler ran, when all is done; `retval` is the error of a task that had one. */
  task_postrun: TaskEvent & { retval: unknown; state: string };
  task_success: { sender: string; taskId: string; result: unknown; runtime: number };
  task_retry: { sender: string; request: TaskRequest; reason: unknown; einfo: ErrorInfo | null };
  task_failure: TaskEvent & { exception: unknown; traceback: string; einfo: ErrorInfo };
  /** The worker itself could not do what it should, or a hook of the task's failed. */
  task_internal_error: { sender: string; taskId: string; request: ReceivedTask; exception: unknown; traceback: string };
  /** Revoked or expired before it began, or terminated. */
  task_revoked: {
    sender: string;
    request: ReceivedTask;
    terminated: boolean;
    signum: number | null;
    expired: boolean;
  };
  /** A task that no worker of this application knows. */
  task_unknown: { sender: string; message: SignalledMessage; exc: unknown; name: string; id: string };
  /** A message that is no task, or whose task cannot be read; `exc` is null for the first. */
  task_rejected: { sender: string; message: SignalledMessage; exc: unknown };

  /** A worker is made. What is changed in `conf` holds for this worker; receivers are not waited for. */
  celeryd_init: { sender: string; conf: Settings; options: Readonly<Record<string, unknown>> };
  /** A worker starts, and knows its queues. */
  celeryd_after_setup: WorkerEvent & { conf: Settings };
  /** Before it connects. */
  worker_init: WorkerEvent;
  /** It takes tasks. */
  worker_ready: WorkerEvent;
  /** It was asked to stop; `sig` is what asked, by its name, and null where that is the program. */
  worker_shutting_down: WorkerEvent & { sig: string | null; how: "Warm" | "Cold"; exitcode: number };
  /** It has stopped. */
  worker_shutdown: WorkerEvent;
  /** In a child of the pools `threads` and `processes`, once it can run tasks. */
  worker_process_init: { sender: string };
  /** There, before it ends by itself; one that is killed says nothing. */
  worker_process_shutdown: { sender: string; pid: number };
  heartbeat_sent: WorkerEvent;
}

/** A signal's name. */
export type SignalName = keyof SignalEvents;

/** Called when a signal is sent; what it throws is logged. */
export type Receiver<N extends SignalName> = (event: SignalEvents[N]) => unknown;

interface Connection {
  receiver: (event: never) => unknown;
  sender: string | undefined;
}

/** Whom to tell of what happens to tasks and workers. Mirrors `celery/utils/dispatch/signal.py Signal`. */
export class Signals {
  readonly #log: Logger;
  readonly #connected = new Map<SignalName, Connection[]>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * Has a function called whenever a signal is sent: one after the other, in the order of their connecting. Where what
   * follows can wait, it waits for the promises that they return.
   *
   * @param name Celery's: `task_prerun`, `worker_ready`
   * @param options `sender`: the only task, or the only node, to hear of
   * @throws TypeError for a name that is no signal's
   */
  connect<N extends SignalName>(name: N, receiver: Receiver<N>, options: { sender?: string } = {}): void {
    if (!NAMES.has(name)) throw new TypeError(`There is no signal ${name}. They are: ${[...NAMES].join(", ")}`);
    if (typeof receiver !== "function") throw new TypeError(`a receiver of ${name} has to be a function`);
    const connections = this.#connected.get(name) ?? [];
    this.#connected.set(name, [...connections, { receiver, sender: options.sender }]);
  }

  /** @returns whether it was connected */
  disconnect<N extends SignalName>(name: N, receiver: Receiver<N>): boolean {
    const connections = this.#connected.get(name) ?? [];
    const left = connections.filter((connection) => connection.receiver !== receiver);
    if (left.length > 0) this.#connected.set(name, left);
    else this.#connected.delete(name);
    return left.length < connections.length;
  }

  /** Whether anybody listens: making an event up may cost. */
  has(name: SignalName): boolean {
    return this.#connected.has(name);
  }

  /** Calls the receivers. Never throws; the promise, if there is one, never rejects. */
  send<N extends SignalName>(name: N, event: SignalEvents[N]): Promise<void> | undefined {
    let pending: Promise<void> | undefined;
    for (const { receiver, sender } of this.#connected.get(name) ?? []) {
      if (sender !== undefined && sender !== event.sender) continue;
      const call = (): Promise<void> | undefined => this.#call(name, receiver as Receiver<N>, event);
      pending = pending ? pending.then(call) : call();
    }
    return pending;
  }

  #call<N extends SignalName>(name: N, receiver: Receiver<N>, event: SignalEvents[N]): Promise<void> | undefined {
    const failed = (error: unknown): void =>
      this.#log.error({ err: error, signal: name }, `Signal handler ${receiver.name || name} raised: ${error}`);
    try {
      const returned = receiver(event);
      if (!(returned instanceof Promise)) return undefined;
      return returned.then(() => undefined, failed);
    } catch (error) {
      failed(error);
      return undefined;
    }
  }
}

const NAMES: ReadonlySet<string> = new Set(
  Object.keys({
    before_task_publish: 0,
    after_task_publish: 0,
    task_received: 0,
    task_prerun: 0,
    task_postrun: 0,
    task_success: 0,
    task_retry: 0,
    task_failure: 0,
    task_internal_error: 0,
    task_revoked: 0,
    task_unknown: 0,
    task_rejected: 0,
    celeryd_init: 0,
    celeryd_after_setup: 0,
    worker_init: 0,
    worker_ready: 0,
    worker_shutting_down: 0,
    worker_shutdown: 0,
    worker_process_init: 0,
    worker_process_shutdown: 0,
    heartbeat_sent: 0,
  } satisfies Record<SignalName, 0>),
);
