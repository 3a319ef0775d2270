import { randomUUID } from "node:crypto";
import type { Message, MessageProperties } from "../../protocol/message/message.ts";
import type { TaskOptions } from "../../protocol/message/task-options.ts";
import { momentIn } from "../../protocol/python/timezone.ts";
import type { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import { delayedDelivery, delayedRoute, hasQuorumQueue } from "../../protocol/transport/delayed-delivery.ts";
import type { Queue, Route } from "../../protocol/transport/entities.ts";
import type { ResultBackend } from "../backends/backend.ts";
import type { Broker } from "../brokers/broker.ts";
import { compress } from "../compression/compression.ts";
import type { Logger } from "../logger.ts";
import { OperationalError } from "./errors.ts";
import type { Queues } from "./queues.ts";
import type { Router } from "./router.ts";
import {
  messageProperties,
  type PublishPolicy,
  publishPolicy,
  type SenderIdentity,
  type SendPlan,
  sendPlan,
} from "./send-plan.ts";
import type { Settings } from "./settings.ts";
import type { Signals } from "./signals.ts";
import { type TaskMessage, taskMessage } from "./task-message.ts";
import type { RunningTask } from "./task-request.ts";

/** Sends one task by name; options are under the wire's names. */
export type SendTask = (
  name: string,
  args: readonly unknown[],
  kwargs: Record<string, unknown>,
  options: Record<string, unknown>,
) => Promise<SentTask>;

/** What a producer needs of its application. */
export interface ProducerContext extends SenderIdentity {
  readonly settings: Settings;
  readonly serializers: SerializerRegistry;
  readonly queues: Queues;
  readonly router: Router;
  broker(): Promise<Broker>;
  backend(): Promise<ResultBackend>;
  running(): RunningTask | undefined;
  readonly log: Logger;
  readonly signals: Signals;
  /** Tells monitors that a task was sent; only called with `taskSendSentEvent`. */
  sendEvent(type: string, fields: Record<string, unknown>): Promise<void>;
}

/** A task message on its way, before it is serialized. */
interface MessageParts {
  readonly body: unknown;
  readonly headers: Record<string, unknown>;
  readonly properties: MessageProperties;
}

/** A task that was sent. */
export interface SentTask {
  id: string;
  /** True when it is known that no result will be stored. */
  ignored: boolean;
}

/** Makes task messages and publishes them. Mirrors `celery/app/base.py send_task` and `celery/app/amqp.py`. */
export class Producer {
  readonly #context: ProducerContext;
  /** Queues that were declared: the broker declares them again by itself when it has to. */
  readonly #declared = new WeakSet<Queue>();
  /** Queues behind the chain that keeps tasks until their time. */
  readonly #delayed = new WeakSet<Queue>();
  /** Queues of which was said that the chain cannot serve them. */
  readonly #warned = new WeakSet<Queue>();
  /** By the options that they were made of. */
  readonly #plans = new WeakMap<object, SendPlan>();
  /** Kept once they are there: asking for them costs a turn each time. */
  #broker: Broker | undefined;
  #backend: ResultBackend | undefined;

  constructor(context: ProducerContext) {
    this.#context = context;
  }

  /**
   * Sends a task. Resolves when the broker has it.
   *
   * @param options under the wire's names; those of a registered task are already among them. Frozen ones are taken to
   *   be the same for every call, and are read once.
   * @throws EncodeError, QueueNotFound, OperationalError after the retries of the policy
   */
  async sendTask(
    name: string,
    args: readonly unknown[],
    kwargs: Record<string, unknown>,
    options: Record<string, unknown>,
  ): Promise<SentTask> {
    const plan = this.#plan(options, name, args, kwargs);
    const running = this.#context.running();
    const call = {
      taskId: plan.taskId ?? randomUUID(),
      args,
      kwargs,
      rootId: plan.rootId ?? running?.request.rootId ?? null,
      parentId: plan.parentId ?? running?.request.id ?? null,
      now: new Date(),
    };
    const task = taskMessage(name, call, plan.task, this.#context.settings);
    if (!plan.ignored) {
      this.#backend ??= await this.#context.backend();
      if (this.#backend.prepare) await this.#backend.prepare();
    }
    const isLater = plan.task.countdown !== null || plan.task.eta !== null;
    const later = isLater ? await this.#laterRoute(plan, call.now) : undefined;
    const route = later ?? plan.route;
    const parts = {
      body: task.body,
      headers: plan.headers ? { ...task.headers, ...plan.headers } : task.headers,
      properties: messageProperties(plan, task.properties, this.#priority(plan, running)),
    };
    await this.#beforePublish(name, parts, route, plan);
    const plain = this.#message(parts, plan);
    const message = plan.compression ? await compressed(plain, plan.compression) : plain;
    await this.#publish(message, route, plan.queue, plan.publishing, later !== undefined);
    if (this.#context.signals.has("after_task_publish")) {
      await this.#context.signals.send("after_task_publish", { sender: name, ...parts, ...route });
    }
    if (this.#context.settings.taskSendSentEvent) await this.#sentEvent(task, route, plan.queue);
    return { id: call.taskId, ignored: plan.ignored };
  }

  /**
   * Publishes a message with the retries that the policy allows, within the time that publishing may take.
   * @param options `timeout` in seconds, `retry`, `retry_policy`
   * @throws OperationalError
   */
  publish(message: Message, route: Route, queue: Queue | null, options: Record<string, unknown> = {}): Promise<void> {
    return this.#publish(message, route, queue, publishPolicy(options, this.#context.settings));
  }

  async #publish(
    message: Message,
    route: Route,
    queue: Queue | null,
    { timeoutMs, retries, policy }: PublishPolicy,
    isDelayed = false,
  ): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (let attempt = 0; ; attempt++) {
      try {
        this.#broker ??= await this.#context.broker();
        const broker = this.#broker;
        if (!broker.connected) await broker.connect(AbortSignal.timeout(Math.max(1, deadline - Date.now())));
        if (queue && !queue.noDeclare && !this.#declared.has(queue)) await this.#declare(broker, queue);
        if (queue && isDelayed && !this.#delayed.has(queue)) await this.#declareDelayed(broker, queue);
        return await broker.publish(message, route, Math.max(1, deadline - Date.now()));
      } catch (error) {
        if (!(error instanceof OperationalError) || attempt >= retries) throw error;
        const pause = Math.min(policy.interval_start + policy.interval_step * attempt, policy.interval_max) * 1000;
        if (Date.now() + pause >= deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  /**
   * Where RabbitMQ keeps a task until its time, which it is asked to do as soon as one queue is a quorum queue; undefined
   * where it does not. Mirrors `celery/app/base.py send_task`.
   */
  async #laterRoute({ queue, route, task }: SendPlan, now: Date): Promise<Route | undefined> {
    const { queues, settings, log } = this.#context;
    if (!hasQuorumQueue(queues.all())) return undefined;
    this.#broker ??= await this.#context.broker();
    if (!this.#broker.declareDelayedDelivery) return undefined;
    const { type, name } = queue.exchange;
    if (type === "direct" && !this.#warned.has(queue)) {
      this.#warned.add(queue);
      log.warn(
        { queue: queue.name },
        `Tasks for later are kept by RabbitMQ behind topic and fanout exchanges only, and ${name || "the default exchange"} is a direct one: they wait in the worker`,
      );
    }
    return delayedRoute(secondsUntil(task, settings.timezone ?? "UTC", now), type, route.routingKey);
  }

  #plan(
    options: Record<string, unknown>,
    name: string,
    args: readonly unknown[],
    kwargs: Record<string, unknown>,
  ): SendPlan {
    const known = this.#plans.get(options);
    if (known) return known;
    const { settings, router } = this.#context;
    const ignored = name.startsWith("celery.") ? { ignore_result: settings.taskIgnoreResult } : undefined;
    const given = ignored ? { ...ignored, ...options } : options;
    const plan = sendPlan(router.route(given, routedName(name, kwargs), args, kwargs), settings, this.#context);
    if (router.isTrivial && Object.isFrozen(options)) this.#plans.set(options, plan);
    return plan;
  }

  async #declare(broker: Broker, queue: Queue): Promise<void> {
    await broker.declare(queue);
    this.#declared.add(queue);
  }

  async #declareDelayed(broker: Broker, queue: Queue): Promise<void> {
    const chain = delayedDelivery(this.#context.settings.brokerNativeDelayedDeliveryQueueType);
    await broker.declareDelayedDelivery?.(chain, [queue]);
    this.#delayed.add(queue);
  }

  #message({ body: given, headers, properties }: MessageParts, plan: SendPlan): Message {
    const { body, contentType, contentEncoding } = this.#context.serializers.encode(given, plan.serializer);
    return { body, contentType, contentEncoding, headers: headers as Message["headers"], properties };
  }

  async #beforePublish(
    sender: string,
    parts: MessageParts,
    route: Route,
    { queue, publishing }: SendPlan,
  ): Promise<void> {
    const { signals } = this.#context;
    if (!signals.has("before_task_publish")) return;
    const retryPolicy = { ...publishing.policy };
    const declare = queue.noDeclare ? [] : [queue.name];
    await signals.send("before_task_publish", { sender, ...parts, ...route, declare, retryPolicy });
  }

  /**
   * 0 unless told otherwise; none for a registered task that is sent to a queue, as Celery has it. Inherited by both:
   * in Celery only by what is sent by name.
   */
  #priority({ priority }: SendPlan, running: RunningTask | undefined): number | null {
    const parent = this.#context.settings.taskInheritParentPriority ? running : undefined;
    if (parent) return priority ?? parent.request.deliveryInfo.priority;
    return priority === undefined ? 0 : priority;
  }

  async #sentEvent(task: TaskMessage, route: Route, queue: Queue): Promise<void> {
    const { exchange, routingKey: routing_key } = route;
    await this.#context.sendEvent("task-sent", { ...task.sent(), queue: queue.name, exchange, routing_key });
  }
}

function secondsUntil({ countdown, eta }: TaskOptions, timeZone: string, now: Date): number {
  if (typeof countdown === "number") return countdown;
  const due = typeof eta === "string" ? momentIn(eta, timeZone) : (eta?.getTime() ?? 0);
  return (due - now.getTime()) / 1000;
}

async function compressed(message: Message, method: string): Promise<Message> {
  const { body, contentType: compression } = await compress(message.body, method);
  return { ...message, body, headers: { ...message.headers, compression } };
}

/** What calls another task in a loop goes where that one would. Mirrors `celery/canvas.py _basemap.apply_async`. */
function routedName(name: string, kwargs: Readonly<Record<string, unknown>>): string {
  if (name !== "celery.map" && name !== "celery.starmap") return name;
  const { task } = kwargs.task as { task?: unknown };
  return typeof task === "string" ? task : name;
}
