import type { MailboxOptions } from "../../protocol/control/pidbox.ts";
import type { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import type { LamportClock } from "../app/clock.ts";
import type { SendTask } from "../app/producer.ts";
import type { Queues } from "../app/queues.ts";
import type { ResultContext } from "../app/result.ts";
import type { Settings } from "../app/settings.ts";
import type { Signals } from "../app/signals.ts";
import type { Canvas } from "../app/signature.ts";
import type { Self, TaskDefinition } from "../app/task.ts";
import type { RunningTask } from "../app/task-request.ts";
import type { ResultBackend, ResultCodec } from "../backends/backend.ts";
import type { Broker } from "../brokers/broker.ts";
import type { ControlContent } from "../control/content.ts";
import type { Control } from "../control/control.ts";
import type { Panel } from "../control/panel.ts";
import type { EventDispatcher } from "../events/dispatcher.ts";
import type { Events } from "../events/events.ts";
import type { Logger } from "../logger.ts";

/** The tasks that a worker serves, by name. */
export interface ServedTasks {
  get(name: string): TaskDefinition | undefined;
  keys(): Iterable<string>;
  values(): Iterable<TaskDefinition>;
}

/** What a worker needs of its application. */
export interface WorkerContext {
  readonly name: string;
  readonly settings: Settings;
  /** Names of the settings that were given. */
  readonly givenSettings: readonly string[];
  readonly serializers: SerializerRegistry;
  readonly clock: LamportClock;
  readonly queues: Queues;
  readonly log: Logger;
  readonly signals: Signals;
  readonly tasks: ServedTasks;
  readonly canvas: Canvas;
  readonly results: ResultContext;
  readonly resultCodec: ResultCodec;
  readonly mailbox: MailboxOptions;
  /** The remote control commands that the worker answers to. */
  readonly panel: Panel;
  /** To ask other workers. */
  readonly control: Control;
  /** How remote control is written and read. */
  readonly content: ControlContent;
  /** A connection of the worker's own to read from: publishing goes by another, which may be blocked. */
  createReadBroker(): Promise<Broker>;
  /** The connection to publish by. */
  writeBroker(): Promise<Broker>;
  backend(): Promise<ResultBackend>;
  /** @param groups the only ones whose events are sent; all when left out */
  dispatcher(hostname: string, bufferGroups: string[], groups?: string[]): EventDispatcher;
  /** Sends one event in a node's name. @throws OperationalError */
  sendEvent(hostname: string, type: string, fields: Record<string, unknown>): Promise<void>;
  /** What can be learned of the cluster by listening on a connection. */
  events(broker: Broker): Events;
  /** What a bug report needs. */
  report(): string;
  readonly sendTask: SendTask;
  /** Runs a function as part of a task, so that what it sends belongs to that task. */
  runAs<T>(running: RunningTask & { self: Self }, run: () => T): T;
  /** The task that runs where this is asked; undefined outside of any. */
  running(): RunningTask | undefined;
  /** Now, as the result records write it. */
  isoNow(): string;
}
