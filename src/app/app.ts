import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import type { input as ZodInput, ZodObject, output as ZodOutput } from "zod";
import { clone, readSignature, signature } from "../../protocol/canvas/signature.ts";
import { writes } from "../../protocol/compatibility.ts";
import { dateDone } from "../../protocol/result/date-done.ts";
import { type SerializerRegistry, serializersOf } from "../../protocol/serialization/registry.ts";
import { customSerializer, type Payload, type Serializer } from "../../protocol/serialization/serializer.ts";
import { createBackend, createBroker } from "../adapters.ts";
import type { ResultBackend } from "../backends/backend.ts";
import type { Broker } from "../brokers/broker.ts";
import { COMMANDS } from "../control/commands/index.ts";
import { controlContent } from "../control/content.ts";
import { Control } from "../control/control.ts";
import { Mailbox } from "../control/mailbox.ts";
import { mailboxOptions } from "../control/mailbox-options.ts";
import { type CommandInfo, Panel } from "../control/panel.ts";
import type { PanelContext } from "../control/panel-context.ts";
import { EventDispatcher } from "../events/dispatcher.ts";
import { Events } from "../events/events.ts";
import { type Logger, SILENT } from "../logger.ts";
import type { WorkerContext } from "../worker/context.ts";
import { LazyEagerTasks } from "../worker/eager.ts";
import { selfInPlace } from "../worker/self.ts";
import { servingBuiltins } from "../worker/serving.ts";
import { TaskRunner } from "../worker/task-runner.ts";
import { Worker } from "../worker/worker.ts";
import type { WorkerOptions } from "../worker/worker-options.ts";
import { authFromSettings } from "./auth.ts";
import { backendOptions } from "./backend-options.ts";
import { bugReport } from "./bug-report.ts";
import { CanvasSender } from "./canvas.ts";
import { LamportClock } from "./clock.ts";
import { ValidationError } from "./contract.ts";
import { settingsFromEnvironment } from "./environment.ts";
import { ImproperlyConfigured, OperationalError, TaskTypeError } from "./errors.ts";
import { anonNodename } from "./nodename.ts";
import { overridingSettings } from "./overrides.ts";
import { Producer, type SentTask } from "./producer.ts";
import { Queues } from "./queues.ts";
import { AsyncResult, type GroupResult, type ResultContext, resultFromNode } from "./result.ts";
import { resultCodec } from "./result-codec.ts";
import { Router } from "./router.ts";
import { keywords, positional, type SendOptions, wireOptions } from "./send-options.ts";
import { resolveSettings, type Settings } from "./settings.ts";
import { Signals } from "./signals.ts";
import { Signature } from "./signature.ts";
import { type Self, type Task, TaskDefinition, type TaskOptions } from "./task.ts";
import { type TaskFunctionContext, taskFunction } from "./task-function.ts";
import { type TaskLogger, taskLogger } from "./task-logger.ts";
import type { RunningTask } from "./task-request.ts";
import type { Untyped } from "./untyped.ts";

/**
 * Settings as they are given: camelCase or Celery's snake_case, in any mixture. `broker` and `backend` are short for
 * `brokerUrl` and `resultBackend`.
 */
export type GivenSettings = Partial<Settings> & {
  broker?: string | string[];
  backend?: string;
  /** Where the application logs to; pino's loggers fit. Nowhere unless given. */
  log?: Logger;
  [setting: string]: unknown;
};

/** What a remote control command of one's own does. */
export type ControlFunction = (state: ControlState, args: Record<string, unknown>) => unknown;

/** What a remote control command of one's own sees of the worker that it runs in. */
export type ControlState = Pick<PanelContext, "hostname" | "log" | "settings" | "uptime" | "shutdown" | "heartbeat">;

/** A running task as `app.currentTask` shows it. */
export type CurrentTask = Self;

interface Running extends RunningTask {
  readonly self: Self;
}

/**
 * An application: the tasks that this side serves, the tasks it calls, and the way to both.
 *
 * It connects when it first has to, and is closed by {@link close} or at the end of `await using`.
 */
export class Celery implements AsyncDisposable {
  readonly name: string;
  readonly settings: Settings;
  readonly control: Control;
  /** What can be learned of the cluster by listening. */
  readonly events: Events;
  /** Where the application logs to; what a running task says has the task's name and id in every line. */
  readonly log: TaskLogger;
  /** The serializers by name; `register` adds one's own. */
  readonly serializers: SerializerRegistry;
  readonly clock = new LamportClock();
  readonly queues: Queues;
  /** Whom to tell of what happens to tasks and workers. */
  readonly signals: Signals;
  readonly #log: Logger;
  readonly #givenSettings: readonly string[];
  readonly #panel = new Panel(COMMANDS);
  readonly #tasks = new Map<string, TaskDefinition>();
  readonly #running = new AsyncLocalStorage<Running>();
  readonly #replyTo = randomUUID();
  readonly #results: ResultContext;
  readonly #producer: Producer;
  readonly #canvas: CanvasSender;
  readonly #workers = new Set<Worker>();
  readonly #eager = new LazyEagerTasks(() => servingBuiltins(this.#workerContext()));
  #broker: Promise<Broker> | undefined;
  #backend: Promise<ResultBackend> | undefined;
  /** Those that send events at once, by the node that they are of. */
  readonly #dispatched = new Map<string, EventDispatcher>();
  #closing: Promise<void> | undefined;
  #closed = false;

  /** @throws ImproperlyConfigured naming the setting that cannot be used */
  constructor(name: string, given: GivenSettings = {}) {
    if (typeof name !== "string" || name === "") throw new ImproperlyConfigured("an application needs a name");
    this.name = name;
    const { broker, backend, log, ...others } = { ...given, ...overridingSettings() };
    const environment = settingsFromEnvironment(process.env);
    const {
      settings,
      given: givenSettings,
      ignored,
    } = resolveSettings({
      ...environment,
      ...others,
      ...(broker !== undefined && { brokerUrl: broker }),
      ...(backend !== undefined && { resultBackend: backend }),
    });
    this.settings = settings;
    this.#givenSettings = givenSettings;
    this.serializers = serializersOf(settings.compatibility);
    this.#log = log ?? SILENT;
    this.signals = new Signals(this.#log);
    this.log = taskLogger(this.#log, () => this.#running.getStore()?.request);
    if (ignored.length > 0) this.#log.warn({}, `These settings have no effect in celeriac: ${ignored.join(", ")}`);
    this.queues = new Queues(settings);
    const auth = authFromSettings(settings, this.serializers);
    if (auth) this.register(auth);
    const router = new Router(settings.taskRoutes, this.queues, settings.taskDefaultQueue);
    this.#results = {
      backend: () => this.backend(),
      revoke: (taskId, options) => this.control.broadcast("revoke", revocation(taskId, options)),
    };
    this.#producer = new Producer({
      settings,
      serializers: this.serializers,
      queues: this.queues,
      router,
      log: this.#log,
      origin: anonNodename(),
      replyTo: this.#replyTo,
      broker: () => this.broker(),
      backend: () => this.backend(),
      running: () => this.#running.getStore(),
      sendEvent: (type, fields) => this.#sendEvent(anonNodename(), type, fields),
      signals: this.signals,
    });
    this.#canvas = new CanvasSender({
      results: this.#results,
      replyTo: this.#replyTo,
      errbacksOnChordHeader: settings.taskAllowErrorCbOnChordHeader,
      useLink: settings.taskProtocol === 1,
      compatibility: settings.compatibility,
      sendTask: (taskName, args, kwargs, options) => this.#sendRegistered(taskName, args, kwargs, options),
      sendOptions: (taskName) => this.#tasks.get(taskName)?.sendOptions ?? {},
      route: (taskName) => router.route({}, taskName, [], {}).queue,
      queue: (queueName) => this.queues.get(queueName),
      backend: () => this.backend(),
      running: () => this.#running.getStore(),
      alwaysEager: settings.taskAlwaysEager,
      eager: this.#eager,
    });
    const mailbox = new Mailbox({
      broker: () => this.broker(),
      clock: this.clock,
      oid: this.#replyTo,
      options: mailboxOptions(settings),
      content: controlContent(this.serializers, settings),
      publishTimeoutMs: settings.taskPublishTimeoutMs,
    });
    this.control = new Control({ mailbox, purge: () => this.#purge() });
    this.events = this.#eventsOver(() => this.broker());
  }

  /**
   * Registers a task that this side serves.
   *
   * @param options its name, or all its options
   * @param handler called with the task's arguments; what it returns, or resolves to, is the result
   * @throws TypeError when the options contradict each other
   */
  task<F extends (...args: never[]) => unknown>(name: string, handler: F): Task<Parameters<F>, Awaited<ReturnType<F>>>;
  task<P extends ZodObject, R>(
    options: TaskOptions & { params: P },
    handler: (params: ZodOutput<P>, self: Self) => R,
  ): Task<[ZodInput<P>], Awaited<R>>;
  task<A extends unknown[], R>(
    options: TaskOptions & { bind: true },
    handler: (self: Self, ...args: A) => R,
  ): Task<A, Awaited<R>>;
  task<F extends (...args: never[]) => unknown>(
    options: TaskOptions,
    handler: F,
  ): Task<Parameters<F>, Awaited<ReturnType<F>>>;
  task(options: string | TaskOptions, handler: (...args: never[]) => unknown): Task {
    const given = typeof options === "string" ? { name: options } : options;
    if (!given.name) throw new TypeError("a task needs a name");
    if (typeof handler !== "function") throw new TypeError(`task ${given.name} needs a function to run`);
    const definition = new TaskDefinition(given, handler, this.settings);
    this.#tasks.set(definition.name, definition);
    return taskFunction(definition.name, definition, this.#taskContext());
  }

  /**
   * A task that somebody else serves.
   * @param options send options for every call
   */
  remote<A extends unknown[] = Untyped[], R = Untyped>(name: string, options: SendOptions = {}): Task<A, R> {
    return taskFunction(name, wireOptions(options), this.#taskContext()) as unknown as Task<A, R>;
  }

  /** Sends a task by name. @throws OperationalError, EncodeError, QueueNotFound */
  async sendTask(name: string, args: readonly unknown[] = [], options: SendOptions = {}): Promise<AsyncResult> {
    if (typeof name !== "string" || name === "") throw new TaskTypeError("a task is sent by its name");
    const wire = wireOptions(options ?? {});
    if (this.settings.taskAlwaysEager) this.#log.warn({}, "task_always_eager has no effect on send_task");
    // By its name a registered task has the priority of any message, unless it has one of its own.
    const hasNone = this.#tasks.get(name)?.sendOptions.priority === null;
    const sent = hasNone ? { priority: undefined, ...wire } : wire;
    return this.#canvas.sendMessage(name, positional(args), keywords(options?.kwargs), sent);
  }

  /**
   * A call of any task as a signature; or, of a signature that came as data, the signature.
   * @throws InvalidTaskError when the data, or a signature within it, is none
   */
  signature<R = Untyped>(data: object): Signature<R>;
  signature<R = Untyped>(name: string, args?: readonly unknown[], options?: SendOptions): Signature<R>;
  signature<R = Untyped>(
    name: string | object,
    args: readonly unknown[] = [],
    options: SendOptions = {},
  ): Signature<R> {
    if (typeof name !== "string") return new Signature<R>(this.#canvas, clone(readSignature(name)));
    return new Signature<R>(this.#canvas, signature(name, args, options.kwargs ?? {}, wireOptions(options)));
  }

  /** The result of a task that was sent before, here or elsewhere. */
  asyncResult<R = Untyped>(id: string): AsyncResult<R> {
    return new AsyncResult<R>(this.#results, id);
  }

  /** A group's result that was saved, here or in Python; null when there is none. Mirrors `GroupResult.restore`. */
  async restoreGroup<R = Untyped>(id: string): Promise<GroupResult<R> | null> {
    const node = await (await this.backend()).restoreGroup(id);
    return node && (resultFromNode(this.#results, node) as GroupResult<R>);
  }

  /** Names of the tasks that this side serves, in order. */
  get taskNames(): string[] {
    return [...this.#tasks.keys()].sort();
  }

  /** The task that runs where this is asked; undefined outside of any. */
  get currentTask(): CurrentTask | undefined {
    return this.#running.getStore()?.self;
  }

  /**
   * Adds a serializer of one's own, or puts it in the place of the one with its name, for `taskSerializer`,
   * `acceptContent` and the like to name. The arguments are those of `kombu.serialization.register`; a
   * {@link Serializer} does as well.
   *
   * @param encoder null where the serializer only reads; what it throws becomes an EncodeError
   * @param decoder null where it only writes; given text, or bytes where the content encoding is `binary`; what it
   *   throws becomes a DecodeError
   * @param contentType the MIME type that messages carry
   * @param contentEncoding `utf-8` unless given; `binary` for bytes
   */
  register(serializer: Serializer): void;
  register(
    name: string,
    encoder: ((value: unknown) => Payload) | null,
    decoder: ((payload: string) => unknown) | null,
    contentType: string,
    contentEncoding?: "utf-8" | "us-ascii",
  ): void;
  register(
    name: string,
    encoder: ((value: unknown) => Payload) | null,
    decoder: ((payload: Uint8Array) => unknown) | null,
    contentType: string,
    contentEncoding: "binary",
  ): void;
  register(
    given: Serializer | string,
    encoder: ((value: unknown) => Payload) | null = null,
    decoder: ((payload: never) => unknown) | null = null,
    contentType = "",
    contentEncoding = "utf-8",
  ): void {
    this.serializers.register(
      typeof given === "string" ? customSerializer(given, encoder, decoder, contentType, contentEncoding) : given,
    );
  }

  /**
   * Adds a remote control command that does something; `app.control.broadcast(name, args)` calls it. Mirrors
   * `celery/worker/control.py control_command`.
   *
   * @param info its name, or all that its users are told
   * @param run called in each worker with what it may see, and the command's arguments; what it returns, or resolves
   *   to, is the reply
   */
  controlCommand(info: string | CommandInfo, run: ControlFunction): void {
    this.#panel.register({ ...(typeof info === "string" ? { name: info } : info), type: "control", run });
  }

  /** The same for a command that asks and changes nothing; `app.control.inspect().request(name, args)` calls it. */
  inspectCommand(info: string | CommandInfo, run: ControlFunction): void {
    this.#panel.register({ ...(typeof info === "string" ? { name: info } : info), type: "inspect", run });
  }

  /** The remote control commands that are known here, by name. */
  remoteCommands(type: "inspect" | "control"): CommandInfo[] {
    return this.#panel.ofType(type).map(({ run: _, type: __, ...info }) => info);
  }

  /** What a bug report needs: versions, the platform and the settings, passwords masked. */
  bugReport(): string {
    return bugReport(this.name, this.settings);
  }

  /** A worker for the tasks of this application, in this process. */
  worker(options: WorkerOptions = {}): Worker {
    const worker = new Worker(this.#workerContext(), options);
    this.#workers.add(worker);
    return worker;
  }

  /** Runs tasks for a worker in another process or thread; what a pool's child works with. */
  taskRunner(): TaskRunner {
    return new TaskRunner(this.#workerContext());
  }

  /** Closes every connection. What still waits for a result rejects. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Workers stop first: tasks that finish meanwhile still send others, and store their results. */
  async #close(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.stop()));
    await Promise.all([...this.#dispatched.values()].map((dispatcher) => dispatcher.flush()));
    this.#closed = true;
    const [broker, backend] = await Promise.allSettled([this.#broker, this.#backend]);
    if (backend.status === "fulfilled") await backend.value?.close();
    if (broker.status === "fulfilled") await broker.value?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The broker to publish to, made when first asked for. @throws ImproperlyConfigured */
  broker(): Promise<Broker> {
    if (this.#closed) return Promise.reject(new OperationalError(`application ${this.name} is closed`));
    this.#broker ??= this.createBroker(this.settings.brokerWriteUrl ?? this.settings.brokerUrl, this.name);
    return this.#broker;
  }

  /** The result backend, made when first asked for. @throws ImproperlyConfigured */
  backend(): Promise<ResultBackend> {
    if (this.#closed) return Promise.reject(new OperationalError(`application ${this.name} is closed`));
    this.#backend ??= this.#createBackend();
    return this.#backend;
  }

  createBroker(urls: string | string[], clientName: string): Promise<Broker> {
    const { settings } = this;
    return createBroker({
      urls: (Array.isArray(urls) ? urls : urls.split(";")).filter(Boolean),
      transportOptions: settings.brokerTransportOptions,
      useSsl: settings.brokerUseSsl,
      connectionTimeout: settings.brokerConnectionTimeout,
      heartbeat: settings.brokerHeartbeat,
      failoverStrategy: settings.brokerFailoverStrategy,
      bindingDeadlines: writes(settings.compatibility, "bindingDeadlines"),
      clientName: `celeriac:${clientName}`,
      log: this.#log,
    });
  }

  async #createBackend(): Promise<ResultBackend> {
    const { settings } = this;
    const options = backendOptions(settings, {
      clientName: `celeriac:${this.name}:results`,
      broker: () => this.#connectedBroker(),
      replyTo: this.#replyTo,
      codec: resultCodec(this.serializers, settings),
      log: this.#log,
    });
    const backend = await createBackend(options, settings.overrideBackends);
    if (settings.resultCompression && !backend.supportsResultCompression) {
      this.#log.warn(
        {},
        `The result backend ${backend.url} cannot store compressed results: resultCompression is ignored`,
      );
    }
    return backend;
  }

  async #connectedBroker(): Promise<Broker> {
    const broker = await this.broker();
    if (!broker.connected) await broker.connect();
    return broker;
  }

  /** Sends a task with the options and the checks of its registration, if it has one here. */
  #sendRegistered(
    name: string,
    args: readonly unknown[],
    kwargs: Record<string, unknown>,
    options: Record<string, unknown>,
  ): Promise<SentTask> {
    const definition = this.#tasks.get(name);
    if (!definition) return this.#producer.sendTask(name, args, kwargs, options);
    const { sendOptions } = definition;
    const all = isEmpty(options) ? sendOptions : { ...sendOptions, ...options };
    const bound = definition.bind(args, kwargs);
    const send = (): Promise<SentTask> => this.#producer.sendTask(name, args, kwargs, all);
    // A turn of the event loop less for a call that is checked already.
    return bound instanceof Promise ? bound.then(send, refuse) : send();
  }

  async #purge(): Promise<number> {
    const broker = await this.#connectedBroker();
    const counts = await Promise.all(this.queues.consumeFrom.map((name) => broker.purge(name)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #sendEvent(hostname: string, type: string, fields: Record<string, unknown>): Promise<void> {
    const dispatcher = this.#dispatched.get(hostname) ?? this.#dispatcher(hostname, () => this.#connectedBroker());
    this.#dispatched.set(hostname, dispatcher);
    await dispatcher.publish(type, fields);
  }

  #dispatcher(
    hostname: string,
    broker: () => Promise<Broker>,
    bufferGroups: string[] = [],
    groups?: string[],
  ): EventDispatcher {
    return new EventDispatcher({
      ...(groups && { groups }),
      broker,
      clock: this.clock,
      serializers: this.serializers,
      hostname,
      exchange: this.settings.eventExchange,
      serializer: this.settings.eventSerializer,
      wholeUtcoffset: !writes(this.settings.compatibility, "floatUtcoffset"),
      bufferGroups,
      publishTimeoutMs: this.settings.taskPublishTimeoutMs,
      log: this.#log,
    });
  }

  #eventsOver(broker: () => Promise<Broker>): Events {
    const { settings, serializers, clock } = this;
    return new Events({
      broker,
      settings,
      serializers,
      clock,
      log: this.#log,
      wakeupWorkers: () => this.control.heartbeat(),
    });
  }

  #taskContext(): TaskFunctionContext {
    return {
      canvas: this.#canvas,
      eager: this.#eager,
      selfInPlace: ({ name }) =>
        selfInPlace(name, { name: this.name, log: this.#log, sendEvent: (...event) => this.#sendEvent(...event) }),
    };
  }

  #workerContext(): WorkerContext {
    const { settings, serializers, clock, queues, name } = this;
    return {
      name,
      settings,
      givenSettings: this.#givenSettings,
      panel: this.#panel,
      control: this.control,
      serializers,
      clock,
      queues,
      log: this.#log,
      tasks: this.#tasks,
      canvas: this.#canvas,
      results: this.#results,
      resultCodec: resultCodec(serializers, settings),
      mailbox: mailboxOptions(settings),
      content: controlContent(serializers, settings),
      createReadBroker: () => this.createBroker(settings.brokerReadUrl ?? settings.brokerUrl, `${name}:worker`),
      writeBroker: () => this.#connectedBroker(),
      backend: () => this.backend(),
      dispatcher: (hostname, bufferGroups, groups) =>
        this.#dispatcher(hostname, () => this.#connectedBroker(), bufferGroups, groups),
      report: () => this.bugReport(),
      signals: this.signals,
      sendEvent: (hostname, type, fields) => this.#sendEvent(hostname, type, fields),
      events: (broker) => this.#eventsOver(async () => broker),
      sendTask: (taskName, args, kwargs, options) => this.#producer.sendTask(taskName, args, kwargs, options),
      running: () => this.#running.getStore(),
      runAs: (running, run) => this.#running.run(running, run),
      isoNow: () => dateDone(new Date(), settings),
    };
  }
}

/** Before anything is sent, a value that the contract refuses is a wrong call like any other. */
function refuse(error: unknown): never {
  throw error instanceof ValidationError ? new TaskTypeError(error.message, { cause: error }) : error;
}

function isEmpty(options: Record<string, unknown>): boolean {
  for (const _ in options) return false;
  return true;
}

function revocation(taskId: string, { terminate = false, signal }: { terminate?: boolean; signal?: string }) {
  return { task_id: taskId, terminate, signal: signal ?? null };
}
