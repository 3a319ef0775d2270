import { ContentDisallowed, DecodeError, InvalidTaskError, SerializerNotInstalled } from "../../protocol/errors.ts";
import type { TaskBody } from "../../protocol/message/embed.ts";
import { readHeaders, type TaskHeaders } from "../../protocol/message/headers.ts";
import { replyAddress } from "../../protocol/message/message.ts";
import { isHybridBody, isTaskV1, mayBeHybrid } from "../../protocol/message/v1.ts";
import type { Queue } from "../../protocol/transport/entities.ts";
import { NotRegistered } from "../app/errors.ts";
import type { TaskDefinition } from "../app/task.ts";
import type { Broker, Consumer, Delivery, UnreadableMessage } from "../brokers/broker.ts";
import type { EventDispatcher } from "../events/dispatcher.ts";
import type { Job, Pool } from "../pools/pool.ts";
import type { Autoscaler } from "./autoscaler.ts";
import type { WorkerContext } from "./context.ts";
import { EtaSchedule } from "./eta.ts";
import { RateLimits } from "./rate-limits.ts";
import { Request } from "./request.ts";
import type { WorkerState } from "./state.ts";
import { BodyReader } from "./task-body.ts";
import type { Tracer } from "./tracer.ts";

/** How much of a message that cannot be used is shown in the log, in characters. */
const SHOWN = 1024;

/** What a consumer of tasks is made with. */
export interface TaskConsumerOptions {
  context: WorkerContext;
  broker: Broker;
  pool: Pool;
  /** What keeps the pool between two sizes, if anything does. */
  autoscaler?: Autoscaler | undefined;
  state: WorkerState;
  tracer: Tracer;
  events: EventDispatcher;
  hostname: string;
  /** Deliveries in hand for each task that can run at a time; 0 for no limit. */
  prefetchMultiplier: number;
  /** Takes a task only when it can run at once. */
  disablePrefetch: boolean;
}

/** Takes task messages from the queues and brings them to the pool. Mirrors `celery/worker/consumer/consumer.py`. */
export class TaskConsumer {
  readonly #options: TaskConsumerOptions;
  readonly #eta: EtaSchedule;
  readonly #limits: RateLimits;
  readonly #limited: boolean;
  readonly #bodies: BodyReader;
  readonly #timeZone: string;
  #consumer: Consumer | undefined;
  #stopping = false;
  #prefetchScheduled = false;

  constructor(options: TaskConsumerOptions) {
    this.#options = options;
    this.#eta = new EtaSchedule((request) => this.#onDue(request));
    this.#limits = new RateLimits((request) => this.#reserve(request));
    this.#limited = !options.context.settings.workerDisableRateLimits;
    this.#bodies = new BodyReader(options.context);
    this.#timeZone = options.context.settings.timezone ?? "UTC";
  }

  get queues(): readonly string[] {
    return this.#consumer?.queues ?? [];
  }

  get prefetch(): number {
    return this.#slots * this.#options.prefetchMultiplier;
  }

  /** A pool that may grow has to be told of what it is to grow for. */
  get #slots(): number {
    const { pool, autoscaler } = this.#options;
    return autoscaler?.max ?? pool.limit;
  }

  /** Tasks that wait for their time. */
  scheduled(): Request[] {
    return this.#eta.requests();
  }

  /** @throws OperationalError */
  async start(queues: readonly Queue[]): Promise<void> {
    this.#consumer = await this.#options.broker.consume(queues, {
      prefetch: this.prefetch,
      ...(this.#options.disablePrefetch && { capacity: () => this.#slots - this.#options.state.reserved.size }),
      onDelivery: (delivery) => this.#receive(delivery),
      onUnreadable: (unreadable) => this.#onUnreadable(unreadable),
      onReturned: () => this.#dropReturned(),
    });
  }

  async addQueue(queue: Queue): Promise<void> {
    await this.#consumer?.addQueue(queue);
  }

  async cancelQueue(queue: string): Promise<void> {
    await this.#consumer?.cancelQueue(queue);
  }

  /** Another rate limit holds for a task. */
  updateRateLimit(definition: TaskDefinition): void {
    this.#limits.update(definition);
  }

  /** The pool has another size. */
  updatePrefetch(): void {
    if (this.#prefetchScheduled || this.#stopping) return;
    this.#prefetchScheduled = true;
    setImmediate(() => {
      this.#prefetchScheduled = false;
      // Tasks that wait for their time must not keep those from coming that can run now.
      const base = this.prefetch;
      const most = this.#options.context.settings.workerEtaTaskLimit ?? Number.POSITIVE_INFINITY;
      this.#consumer?.setPrefetch(base === 0 ? 0 : Math.min(base + this.#eta.size, Math.max(base, most)));
    });
  }

  /** Takes no more tasks, and gives up those that have not begun: their messages are put back on {@link close}. */
  async cancel(): Promise<void> {
    this.#stopping = true;
    await this.#consumer?.cancel();
    this.#eta.clear();
    this.#limits.clear();
    this.#options.pool.drain();
  }

  /** Sends what was settled, and puts the rest back. */
  async close(): Promise<void> {
    this.#stopping = true;
    this.#eta.clear();
    this.#limits.clear();
    await this.#consumer?.close();
  }

  #receive(delivery: Delivery): void {
    const { headers } = delivery.message;
    if (headers.task === undefined) {
      void this.#receiveV1(delivery);
      return;
    }
    if (mayBeHybrid(headers)) {
      void this.#receiveHybrid(delivery);
      return;
    }
    try {
      this.#accept(readHeaders(headers), delivery);
    } catch (error) {
      this.#onInvalid(delivery, error as Error);
    }
  }

  /** A message without a task in its headers is of protocol 1, or of no protocol at all. */
  async #receiveV1(delivery: Delivery): Promise<void> {
    try {
      const body = await this.#bodies.readAny(delivery.message);
      if (!isTaskV1(body)) return this.#onUnknown(delivery);
      const task = this.#bodies.readV1(body, delivery.message);
      this.#accept(task.headers, delivery, task.body, task.utc);
    } catch (error) {
      this.#onInvalid(delivery, error as Error);
    }
  }

  /** What the headers leave out may be in the body. */
  async #receiveHybrid(delivery: Delivery): Promise<void> {
    try {
      const body = await this.#bodies.readAny(delivery.message);
      if (!isHybridBody(body)) return this.#accept(readHeaders(delivery.message.headers), delivery);
      const task = this.#bodies.readV1(body, delivery.message);
      this.#accept(task.headers, delivery, task.body);
    } catch (error) {
      this.#onInvalid(delivery, error as Error);
    }
  }

  #accept(headers: TaskHeaders, delivery: Delivery, body?: TaskBody, utc: boolean | null = null): void {
    const { context, hostname, state } = this.#options;
    const definition = context.tasks.get(headers.task);
    if (!definition) return void this.#onUnregistered(headers, delivery);
    const request = new Request(headers, definition, delivery, hostname, this.#timeZone, body, utc);
    context.log.info({ id: request.id, task: request.task }, `Task ${request.name}[${request.id}] received`);
    if (request.expires !== null || state.isRevoked(request)) {
      void this.#acceptUnlessRevoked(request);
      return;
    }
    this.#schedule(request);
  }

  async #acceptUnlessRevoked(request: Request): Promise<void> {
    try {
      if (!(await this.#options.tracer.dropIfRevoked(request))) this.#schedule(request);
    } catch (error) {
      this.#options.context.log.error(
        { err: error, id: request.id },
        `Could not discard ${request.name}[${request.id}]`,
      );
      request.acknowledge();
    }
  }

  #schedule(request: Request): void {
    if (this.#stopping || request.delivery.returned) return;
    this.#sendReceived(request);
    const { signals } = this.#options.context;
    if (signals.has("task_received"))
      void signals.send("task_received", { sender: request.task, request: request.received() });
    const { state } = this.#options;
    if (request.eta !== null && request.eta > Date.now()) {
      state.taskScheduled(request);
      this.#eta.add(request, request.eta);
      this.updatePrefetch();
    } else {
      this.#admit(request);
    }
  }

  /** The task may run: now, or when others of its name have left the time between that its rate limit asks for. */
  #admit(request: Request): void {
    if (!this.#limited || request.definition.rateLimit === null) {
      this.#reserve(request);
      return;
    }
    this.#options.state.taskScheduled(request);
    if (!this.#limits.hold(request)) this.#reserve(request);
  }

  /**
   * Forgets tasks that have not begun and whose messages the broker has back: it delivers them again. What waits in the
   * pool is passed over when its turn comes. Mirrors `celery/worker/consumer/consumer.py on_close`.
   */
  #dropReturned(): void {
    const { state } = this.#options;
    this.#eta.keep((request) => !request.delivery.returned);
    this.#limits.keep((request) => !request.delivery.returned);
    for (const request of [...state.scheduled, ...state.reserved]) {
      if (request.delivery.returned && !state.active.has(request)) state.taskReady(request);
    }
    this.updatePrefetch();
  }

  #onDue(request: Request): void {
    this.#admit(request);
    this.updatePrefetch();
  }

  #reserve(request: Request): void {
    const { state, pool, tracer, autoscaler, disablePrefetch } = this.#options;
    state.taskReserved(request);
    autoscaler?.onReceived();
    const trace: Job["run"] = (child) => tracer.trace(request, child);
    // The next one is taken when this one is over.
    const traceAlone: Job["run"] = (child) => trace(child).finally(() => this.updatePrefetch());
    pool.apply({ id: request.id, run: disablePrefetch ? traceAlone : trace });
  }

  #sendReceived(request: Request): void {
    const { events } = this.#options;
    if (!request.definition.sendEvents || !events.sends("task")) return;
    const { headers } = request;
    events.send("task-received", {
      uuid: request.id,
      name: request.name,
      args: headers.argsrepr,
      kwargs: headers.kwargsrepr,
      root_id: headers.root_id,
      parent_id: headers.parent_id,
      retries: headers.retries,
      eta: headers.eta,
      expires: headers.expires,
    });
  }

  async #onUnregistered(headers: TaskHeaders, delivery: Delivery): Promise<void> {
    const { context, tracer, hostname } = this.#options;
    context.log.error(
      { id: headers.id, task: headers.task, queue: delivery.queue },
      `Received unregistered task of type '${headers.task}'. The message has been rejected. Is the module that registers the task loaded?`,
    );
    const refused = {
      id: headers.id,
      task: headers.task,
      name: headers.task,
      ...replyAddress(delivery.message.properties, headers.id),
    };
    const exc = new NotRegistered(headers.task);
    await tracer.refuse(refused, exc);
    delivery.reject({ requeue: false });
    const { id, task: name } = headers;
    await context.signals.send("task_unknown", { sender: hostname, message: delivery.message, exc, name, id });
  }

  #onInvalid(delivery: Delivery, error: Error): void {
    const { context, tracer, hostname } = this.#options;
    const expected = [InvalidTaskError, DecodeError, ContentDisallowed, SerializerNotInstalled].some(
      (type) => error instanceof type,
    );
    context.log.error(
      { err: expected ? undefined : error, queue: delivery.queue, ...shownMessage(delivery) },
      `Received invalid task message: ${error.message}. The message has been rejected.`,
    );
    const { id, task } = delivery.message.headers;
    if (typeof id === "string" && id !== "" && typeof task === "string") {
      void tracer.refuse({ id, task, name: task, ...replyAddress(delivery.message.properties, id) }, error);
    }
    delivery.reject({ requeue: false });
    void context.signals.send("task_rejected", { sender: hostname, message: delivery.message, exc: error });
  }

  #onUnknown(delivery: Delivery): void {
    this.#options.context.log.warn(
      { queue: delivery.queue, ...shownMessage(delivery) },
      "Received and rejected unknown message. Wrong destination?!?",
    );
    delivery.reject({ requeue: false });
    const { context, hostname } = this.#options;
    void context.signals.send("task_rejected", { sender: hostname, message: delivery.message, exc: null });
  }

  #onUnreadable({ queue, text, error }: UnreadableMessage): void {
    this.#options.context.log.error(
      { queue, text: text.slice(0, SHOWN) },
      `Received and deleted what is no message: ${error.message}`,
    );
  }
}

function shownMessage({ message }: Delivery): Record<string, unknown> {
  const text = Buffer.from(message.body.subarray(0, SHOWN)).toString("utf8");
  return { contentType: message.contentType, body: text, bytes: message.body.length };
}
