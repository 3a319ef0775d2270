import { availableParallelism } from "node:os";
import { readSignature } from "../../protocol/canvas/signature.ts";
import { delayedDelivery, hasQuorumQueue } from "../../protocol/transport/delayed-delivery.ts";
import type { Queue } from "../../protocol/transport/entities.ts";
import { createPool } from "../adapters.ts";
import { ImproperlyConfigured, Retry, Terminated } from "../app/errors.ts";
import { nodeFormat, nodename } from "../app/nodename.ts";
import type { SignalEvents } from "../app/signals.ts";
import type { Broker } from "../brokers/broker.ts";
import { Pidbox } from "../control/pidbox.ts";
import type { EventDispatcher } from "../events/dispatcher.ts";
import type { Pool } from "../pools/pool.ts";
import { Autoscaler, keepaliveOf } from "./autoscaler.ts";
import { connectPatiently } from "./connecting.ts";
import { TaskConsumer } from "./consumer.ts";
import type { WorkerContext } from "./context.ts";
import { Gossip } from "./gossip.ts";
import { Heartbeat, heartbeat } from "./heartbeat.ts";
import { mingle } from "./mingle.ts";
import { panelContext } from "./panel-context.ts";
import { servingBuiltins } from "./serving.ts";
import { WorkerState } from "./state.ts";
import { StateDb } from "./state-db.ts";
import { Tracer } from "./tracer.ts";
import { childData, directQueue, limitsOf, poolOf, type WorkerOptions } from "./worker-options.ts";

/** How long a stopping worker waits for the broker to take its last words, in milliseconds. */
const CLOSE_MS = 5000;

/** Set in the global object of a pool's child, whose application may come with another copy of this package. */
const POOL_CHILD = Symbol.for("celeriac.poolChild");

/** Signals about a worker that is there. */
type WorkerSignal =
  | "celeryd_after_setup"
  | "worker_init"
  | "worker_ready"
  | "worker_shutting_down"
  | "worker_shutdown"
  | "heartbeat_sent";

/** A worker: takes tasks from queues and runs them, until it is stopped. */
export class Worker {
  /** The node's name. */
  readonly hostname: string;
  readonly state = new WorkerState();
  readonly #context: WorkerContext;
  readonly #options: WorkerOptions;
  readonly #pool: Pool;
  readonly #queues: Queue[];
  readonly #stop = new AbortController();
  #started: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #broker: Broker | undefined;
  #consumer: TaskConsumer | undefined;
  #pidbox: Pidbox | undefined;
  #heartbeat: Heartbeat | undefined;
  #autoscaler: Autoscaler | undefined;
  #endSoftly: (() => void) | undefined;
  #events: EventDispatcher | undefined;
  #stateDb: StateDb | undefined;
  #gossip: Gossip | undefined;
  /** Seconds since the epoch. */
  #startedAt = 0;
  #onStopped: () => void = () => {};
  /** Resolves when it has stopped warm, whoever asked it to: the program, or remote control. */
  readonly stopped = new Promise<void>((resolve) => {
    this.#onStopped = resolve;
  });

  /** @throws ImproperlyConfigured, QueueNotFound */
  constructor(context: WorkerContext, options: WorkerOptions) {
    this.hostname = nodename(options.hostname);
    const settings = { ...context.settings, ...limitsOf(options) };
    void context.signals.send("celeryd_init", { sender: this.hostname, conf: settings, options: { ...options } });
    this.#context = servingBuiltins({ ...context, settings });
    const pool = poolOf(this.#context, options);
    const concurrency =
      options.concurrency ?? settings.workerConcurrency ?? availableParallelism() * (pool === "async" ? 10 : 1);
    if (!Number.isInteger(concurrency) || concurrency < 1) {
      throw new ImproperlyConfigured(`concurrency cannot be ${concurrency}: it is a whole number from 1 up`);
    }
    this.#options = options;
    const { autoscale } = options;
    if (autoscale && !(autoscale.max >= 1 && autoscale.min >= 0 && autoscale.min <= autoscale.max)) {
      throw new ImproperlyConfigured(`autoscale cannot be ${autoscale.max},${autoscale.min}: it is MAX,MIN`);
    }
    this.#pool = createPool(pool, {
      limit: autoscale ? autoscale.min : concurrency,
      data: childData(context, options, this.hostname),
      maxTasksPerChild: options.maxTasksPerChild ?? settings.workerMaxTasksPerChild,
      maxMemoryPerChild: options.maxMemoryPerChild ?? settings.workerMaxMemoryPerChild,
      log: context.log,
    });
    const names = options.queues?.length ? options.queues : context.queues.consumeFrom;
    const wanted = names.filter((name) => !options.excludeQueues?.includes(name));
    this.#queues = wanted.map((name) => context.queues.get(name));
    if (settings.workerDirect) this.#queues.push(directQueue(this.hostname));
  }

  /** Where tasks run: `async`, `solo`, `threads` or `processes`. */
  get pool(): string {
    return this.#pool.name;
  }

  /** How many tasks run at a time. */
  get concurrency(): number {
    return this.#pool.limit;
  }

  get queues(): readonly string[] {
    return this.#consumer?.queues ?? this.#queues.map((queue) => queue.name);
  }

  /** True while it takes tasks: it has started, is not stopping, and reaches its broker. */
  get consuming(): boolean {
    return this.#startedAt > 0 && !this.#stopping && !this.#stop.signal.aborted && this.#broker?.connected === true;
  }

  /** Whether it sends events about its tasks. */
  get sendsEvents(): boolean {
    return this.#options.taskEvents ?? this.#context.settings.workerSendTaskEvents;
  }

  /** The broker's URL, masked; undefined before the start. */
  get brokerUrl(): string | undefined {
    return this.#broker?.url;
  }

  /** Seconds since it started to consume. */
  get uptime(): number {
    return this.#startedAt === 0 ? 0 : Math.round(Date.now() / 1000 - this.#startedAt);
  }

  /**
   * Connects and starts to take tasks. Resolves when it does; waits for a broker that is away as the settings say.
   * @throws OperationalError when the broker stays away
   */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  /**
   * Stops warm: takes no more tasks, lets those that run finish, puts the others back, says goodbye. Until then it
   * goes on answering remote control. Safe to call twice.
   * @param sig the signal that asked for it
   */
  stop(sig?: string): Promise<void> {
    this.#stopping ??= this.#stopWarm(sig);
    this.#stopping.then(this.#onStopped, this.#onStopped);
    return this.#stopping;
  }

  /**
   * Stops cold: tasks that run are told to stop by their signal, or killed with their child, and not waited for, unless
   * `workerSoftShutdownTimeout` gives them time. Messages of tasks with late acknowledgement are put back.
   * @param sig the signal that asked for it
   */
  async terminate(sig?: string): Promise<void> {
    const { settings, log } = this.#context;
    this.#stop.abort();
    log.warn({}, "worker: Cold shutdown");
    await this.#signal("worker_shutting_down", { sig: sig ?? null, how: "Cold", exitcode: 1 });
    await Promise.race([this.#consumer?.cancel(), pause(CLOSE_MS)]);
    const timeout = settings.workerSoftShutdownTimeout;
    const isIdle = this.state.active.size === 0 && !settings.workerEnableSoftShutdownOnIdle;
    if (timeout > 0 && !isIdle) {
      log.warn({}, `Initiating Soft Shutdown, terminating in ${timeout} seconds`);
      await this.#softly(timeout);
    }
    for (const request of this.state.active) request.end?.("cancelled", new Terminated("SIGQUIT"));
    // What becomes of the tasks has to be stored; one that began just now has no end yet.
    await Promise.race([this.#pool.idle(), pause(CLOSE_MS)]);
    await this.#close();
  }

  /** Ends a soft shutdown before its time. @returns false when there is none under way */
  cutShort(): boolean {
    if (!this.#endSoftly) return false;
    this.#endSoftly();
    return true;
  }

  /** What runs and what waits, a task a line, for people to read. */
  dump(): string {
    const { active, reserved, scheduled } = this.state;
    const now = Date.now() / 1000;
    const lines = [...active].map((request) => {
      const seconds = (now - (request.timeStart ?? now)).toFixed(1);
      const { argsrepr, kwargsrepr } = request.headers;
      return `  ${request.name}[${request.id}] ${argsrepr} ${kwargsrepr} for ${seconds}s, pid ${request.workerPid}`;
    });
    const waiting = reserved.size - active.size;
    const head = `${this.hostname}: ${active.size} task(s) running, ${waiting} waiting for a slot, ${scheduled.size} for their time`;
    return [head, ...lines].join("\n");
  }

  /** @param timeout seconds; less when nothing runs any more */
  async #softly(timeout: number): Promise<void> {
    const isOver = new Promise<void>((resolve) => {
      this.#endSoftly = resolve;
    });
    const isDone = this.#context.settings.workerEnableSoftShutdownOnIdle ? [] : [this.#pool.idle()];
    await Promise.race([pause(timeout * 1000), isOver, ...isDone]);
    this.#endSoftly = undefined;
  }

  async #start(): Promise<void> {
    try {
      await this.#startAll();
    } catch (error) {
      await this.#pool.terminate();
      throw error;
    }
  }

  async #startAll(): Promise<void> {
    const { settings, log } = this.#context;
    await this.#signal("worker_init", {});
    if (isPoolChild()) {
      throw new ImproperlyConfigured(
        "a worker was started by the module that the children of a pool import: start it from a module of its own",
      );
    }
    // Made now, so that a URL that cannot be used ends the start, and not the first task.
    await this.#context.backend();
    const broker = await this.#context.createReadBroker();
    this.#broker = broker;
    broker.onStateChange = (connected, error) => this.#onBroker(connected, error);
    this.#openStateDb();
    await this.#signal("celeryd_after_setup", { conf: settings });
    await connectPatiently(broker, settings, log, this.#stop.signal);
    await this.#mingle(broker);
    if (this.#options.purge) await this.#purge(broker);
    await this.#pool.start();
    const events = this.#context.dispatcher(this.hostname, ["task"], this.sendsEvents ? undefined : ["worker"]);
    this.#events = events;
    const tracer = new Tracer({ context: this.#context, state: this.state, events });
    this.#autoscaler = this.#makeAutoscaler();
    const consumer = new TaskConsumer({
      context: this.#context,
      broker,
      pool: this.#pool,
      autoscaler: this.#autoscaler,
      state: this.state,
      tracer,
      events,
      hostname: this.hostname,
      prefetchMultiplier: this.#options.prefetchMultiplier ?? settings.workerPrefetchMultiplier,
      disablePrefetch: this.#disablesPrefetch(broker),
    });
    this.#consumer = consumer;
    await this.#startGossip(broker, events);
    if (settings.workerEnableRemoteControl) await this.#startPidbox(broker, consumer, events);
    await consumer.start(this.#queues);
    await this.#declareDelayedDelivery(broker);
    this.#autoscaler?.start();
    this.#startedAt = Date.now() / 1000;
    if (!this.#options.withoutHeartbeat) {
      const onSent = (): void => void this.#signal("heartbeat_sent", {});
      this.#heartbeat = new Heartbeat(events, this.state, this.#options.heartbeatInterval, onSent);
      this.#heartbeat.start();
    }
    log.info({ node: this.hostname, queues: this.queues, concurrency: this.concurrency }, `${this.hostname} ready.`);
    await this.#signal("worker_ready", {});
  }

  /** Tells the receivers of one of the worker's own signals. */
  async #signal<N extends WorkerSignal>(name: N, more: Omit<SignalEvents[N], "sender" | "instance">): Promise<void> {
    const event = { sender: this.hostname, instance: this, ...more } as unknown as SignalEvents[N];
    await this.#context.signals.send(name, event);
  }

  #disablesPrefetch({ transport }: Broker): boolean {
    const asked = this.#options.disablePrefetch ?? this.#context.settings.workerDisablePrefetch;
    if (!asked || transport === "redis") return asked;
    this.#context.log.warn(
      { transport },
      `workerDisablePrefetch has an effect on Redis alone, and none on ${transport}`,
    );
    return false;
  }

  #makeAutoscaler(): Autoscaler | undefined {
    const { autoscale: range } = this.#options;
    if (!range) return undefined;
    const onRange = (): void => this.#consumer?.updatePrefetch();
    const keepalive = keepaliveOf(process.env);
    return new Autoscaler({ range, pool: this.#pool, state: this.state, log: this.#context.log, onRange, keepalive });
  }

  /** One quorum queue has RabbitMQ keep every task until its time. */
  async #declareDelayedDelivery(broker: Broker): Promise<void> {
    const { settings, queues, log } = this.#context;
    const all = queues.all();
    if (!broker.declareDelayedDelivery || !hasQuorumQueue(all)) return;
    try {
      await broker.declareDelayedDelivery(delayedDelivery(settings.brokerNativeDelayedDeliveryQueueType), all);
    } catch (error) {
      log.warn({ err: error }, `Native delayed delivery is not available: ${(error as Error).message}`);
    }
  }

  async #startPidbox(broker: Broker, consumer: TaskConsumer, events: EventDispatcher): Promise<void> {
    const { settings, mailbox, content, panel, name } = this.#context;
    this.#pidbox = new Pidbox({
      context: panelContext(this.#context, {
        hostname: this.hostname,
        state: this.state,
        broker,
        consumer,
        pool: this.#pool,
        events,
        autoscaler: this.#autoscaler,
        gossip: this.#gossip,
        uptime: () => this.uptime,
        heartbeat: () => heartbeat(events, this.state, this.#options.heartbeatInterval),
        shutdown: () =>
          void this.stop().catch((error: unknown) => {
            this.#context.log.error({ err: error }, "The shutdown from remote failed");
          }),
      }),
      panel,
      appName: name,
      options: mailbox,
      content,
      readBroker: broker,
      writeBroker: () => this.#context.writeBroker(),
      publishTimeoutMs: settings.taskPublishTimeoutMs,
    });
    await this.#pidbox.start();
  }

  #openStateDb(): void {
    const path = this.#options.stateDb ?? this.#context.settings.workerStateDb;
    if (!path) return;
    this.#stateDb = new StateDb(nodeFormat(path, this.hostname), this.state, this.#context.clock, this.#context.log);
    this.#stateDb.open();
  }

  async #mingle(broker: Broker): Promise<void> {
    if (this.#options.withoutMingle || !this.#context.settings.workerEnableRemoteControl) return;
    await mingle(this.#context, broker, this.hostname, this.state);
  }

  async #startGossip(broker: Broker, dispatcher: EventDispatcher): Promise<void> {
    if (this.#options.withoutGossip || !Gossip.works(broker.transport)) return;
    const { log, canvas } = this.#context;
    this.#gossip = new Gossip({
      hostname: this.hostname,
      events: this.#context.events(broker),
      dispatcher,
      log,
      sendSignature: async (action) => void (await canvas.apply(readSignature(action), [], {}, {})),
    });
    await this.#gossip.start();
  }

  async #purge(broker: Broker): Promise<void> {
    const counts = await Promise.all(this.#queues.map((queue) => broker.purge(queue.name)));
    const count = counts.reduce((sum, one) => sum + one, 0);
    if (count > 0) this.#context.log.warn({ count }, `purge: Erased ${count} message(s) from the queue.`);
  }

  #onBroker(connected: boolean, error?: Error): void {
    if (this.#startedAt === 0 || this.#stopping || this.#stop.signal.aborted) return;
    const { log } = this.#context;
    const url = this.#broker?.url;
    if (connected) {
      log.info({ url }, `consumer: Connected to ${url} again.`);
      // Others may have been told meanwhile what this one was not.
      if (this.#broker) void this.#mingle(this.#broker);
    } else {
      this.#cancelLateTasks();
      log.warn(
        { err: error, url },
        `consumer: Connection to broker lost (${error?.message}). Trying to re-establish the connection...`,
      );
    }
  }

  /** Their messages go to other workers, which begin them anew. Mirrors `celery/worker/consumer/consumer.py`. */
  #cancelLateTasks(): void {
    const { settings, log } = this.#context;
    if (!settings.workerCancelLongRunningTasksOnConnectionLoss) return;
    for (const request of this.state.active) {
      if (!request.definition.acksLate || request.acknowledged) continue;
      log.warn(
        { id: request.id, task: request.task },
        `Task ${request.name}[${request.id}] cannot be acknowledged after a connection loss since late acknowledgement is enabled for it. Terminating it instead.`,
      );
      request.end?.("cancelled", new Retry(null, null, "cancelled by Celery"));
    }
  }

  async #stopWarm(sig: string | undefined): Promise<void> {
    const { log } = this.#context;
    this.#stop.abort();
    await this.#started?.catch(() => undefined);
    if (this.#startedAt > 0) {
      await this.#signal("worker_shutting_down", { sig: sig ?? null, how: "Warm", exitcode: 0 });
      const running = this.#pool.active;
      log.info({ running }, `worker: Warm shutdown${running > 0 ? `, waiting for ${running} task(s)` : ""}`);
    }
    await this.#consumer?.cancel();
    await this.#pool[Symbol.asyncDispose]();
    await this.#close();
  }

  /** Once: a cold stop that overtakes a warm one must not close the broker before the other has put messages back. */
  #close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    this.#heartbeat?.stop();
    this.#autoscaler?.stop();
    await this.#pool.terminate();
    await this.#events?.flush();
    await this.#pidbox?.close().catch(() => undefined);
    await this.#gossip?.close().catch(() => undefined);
    try {
      await this.#consumer?.close();
    } catch (error) {
      this.#context.log.error({ err: error }, `Could not put back what was not done: ${(error as Error).message}`);
    }
    await this.#broker?.close(CLOSE_MS);
    await this.#stateDb?.close();
    if (this.#startedAt > 0) await this.#signal("worker_shutdown", {});
    this.#startedAt = 0;
  }
}

/** Whether this process or thread is a pool's child. */
function isPoolChild(): boolean {
  return (globalThis as { [POOL_CHILD]?: true })[POOL_CHILD] === true;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
