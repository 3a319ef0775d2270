import type { CeleryEvent } from "../../protocol/event/event.ts";
import { TASK_STATES, takesPrecedence } from "../../protocol/event/task-states.ts";

/** The window, in heartbeats, after which a worker that was not heard of is taken for lost. */
const EXPIRE_WINDOW = 2;

/** How many heartbeats of a worker are kept. */
const HEARTBEATS = 4;

/** What the events told of a worker. */
export interface WorkerSeen {
  hostname: string;
  pid: number | null;
  /** Seconds between its heartbeats. */
  freq: number;
  /** When the last ones came, in seconds since the epoch. */
  heartbeats: number[];
  active: number | null;
  processed: number | null;
  loadavg: number[] | null;
  sw_ident: string | null;
  sw_ver: string | null;
  sw_sys: string | null;
  [field: string]: unknown;
}

/** What the events told of a task, under the names of their fields. */
export interface TaskSeen {
  uuid: string;
  name: string | null;
  state: string;
  /** The node that has it in hand. */
  worker: string | null;
  /** The client that sent it. */
  client: string | null;
  /** Seconds since the epoch: of the event that its state is from. */
  timestamp: number | null;
  [field: string]: unknown;
}

/** How much a state keeps, and whom it tells. */
export interface StateOptions {
  /** 10 000 unless given; the oldest give way. */
  maxTasksInMemory?: number;
  /** 5 000 unless given. */
  maxWorkersInMemory?: number;
  /** Called after each event was taken in. */
  callback?: (state: State, event: CeleryEvent) => void;
  onNodeJoin?: (worker: WorkerSeen) => void;
  onNodeLeave?: (worker: WorkerSeen) => void;
}

/** A cluster as its events tell it. Mirrors `celery/events/state.py State`. */
export class State {
  /** Workers by node name. */
  readonly workers = new Map<string, WorkerSeen>();
  /** Tasks by id, in the order in which they were first heard of. */
  readonly tasks = new Map<string, TaskSeen>();
  readonly #options: StateOptions;
  /** How many events were taken in. */
  eventCount = 0;
  /** How many tasks were received by workers. */
  taskCount = 0;

  constructor(options: StateOptions = {}) {
    this.#options = options;
  }

  /** Takes an event in. */
  event(event: CeleryEvent): void {
    this.eventCount++;
    const dash = event.type.indexOf("-");
    const [group, subject] = [event.type.slice(0, dash), event.type.slice(dash + 1)];
    if (group === "worker") this.#workerEvent(subject, event);
    else if (group === "task") this.#taskEvent(subject, event);
    this.#options.callback?.(this, event);
  }

  /** @param now seconds since the epoch */
  isAlive({ heartbeats, freq }: WorkerSeen, now = Date.now() / 1000): boolean {
    const last = heartbeats.at(-1);
    return last !== undefined && now < last + freq * EXPIRE_WINDOW;
  }

  /** Workers that were heard of not long ago. */
  aliveWorkers(now = Date.now() / 1000): WorkerSeen[] {
    return [...this.workers.values()].filter((worker) => this.isAlive(worker, now));
  }

  /** Names of all tasks seen, in order. */
  taskTypes(): string[] {
    const names = new Set(Array.from(this.tasks.values(), ({ name }) => name));
    return [...names].filter((name) => name !== null).sort();
  }

  /** Tasks by the time of their last event, the latest first. */
  tasksByTime(limit = Number.POSITIVE_INFINITY): TaskSeen[] {
    const tasks = [...this.tasks.values()].sort((a, b) => (b.timestamp ?? 0) - (a.timestamp ?? 0));
    return tasks.slice(0, limit);
  }

  /** Forgets everything. */
  clear(): void {
    this.workers.clear();
    this.tasks.clear();
    this.eventCount = 0;
    this.taskCount = 0;
  }

  #workerEvent(subject: string, event: CeleryEvent): void {
    const { hostname } = event;
    const known = this.workers.get(hostname);
    const worker = known ?? newWorker(hostname);
    Object.assign(worker, withoutType(event));
    if (subject === "offline") {
      worker.heartbeats = [];
      this.workers.delete(hostname);
      this.#options.onNodeLeave?.(worker);
      return;
    }
    this.#heard(worker, event);
    this.workers.set(hostname, worker);
    bounded(this.workers, this.#options.maxWorkersInMemory ?? 5000);
    if (!known || subject === "online") this.#options.onNodeJoin?.(worker);
  }

  #taskEvent(subject: string, event: CeleryEvent): void {
    const uuid = String(event.uuid);
    const task = this.tasks.get(uuid) ?? newTask(uuid);
    this.tasks.set(uuid, task);
    bounded(this.tasks, this.#options.maxTasksInMemory ?? 10_000);
    if (subject === "sent") {
      task.client = event.hostname;
    } else {
      const worker = this.workers.get(event.hostname) ?? newWorker(event.hostname);
      this.workers.set(event.hostname, worker);
      task.worker = event.hostname;
      this.#heard(worker, event);
    }
    if (subject === "received") this.taskCount++;
    merge(task, subject, event);
  }

  #heard({ heartbeats }: WorkerSeen, event: CeleryEvent): void {
    heartbeats.push(typeof event.local_received === "number" ? event.local_received : Date.now() / 1000);
    if (heartbeats.length > HEARTBEATS) heartbeats.shift();
  }
}

/** Events may come in another order than they happened: of an earlier one only what never changes is taken. */
function merge(task: TaskSeen, subject: string, event: CeleryEvent): void {
  const known = TASK_STATES[subject];
  const state = known ?? subject.toUpperCase();
  if (known) task[subject] = event.timestamp;
  const { hostname: _, ...fields } = withoutType(event);
  const isEarlier = state !== "RETRY" && task.state !== "RETRY" && takesPrecedence(task.state, state);
  if (isEarlier) {
    if (state === "RECEIVED") Object.assign(task, only(fields, KEPT));
    else Object.assign(task, { ...fields, state: task.state, timestamp: task.timestamp });
    return;
  }
  Object.assign(task, fields, { state, timestamp: event.timestamp });
}

/** What a task is received with, and nobody changes. */
const KEPT = ["name", "args", "kwargs", "parent_id", "root_id", "retries", "eta", "expires"];

function only(fields: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => names.includes(name)));
}

function withoutType({ type: _, timestamp: __, ...fields }: CeleryEvent): Record<string, unknown> {
  return fields;
}

function newWorker(hostname: string): WorkerSeen {
  return {
    hostname,
    pid: null,
    freq: 60,
    heartbeats: [],
    active: null,
    processed: null,
    loadavg: null,
    sw_ident: null,
    sw_ver: null,
    sw_sys: null,
  };
}

function newTask(uuid: string): TaskSeen {
  return { uuid, name: null, state: "PENDING", worker: null, client: null, timestamp: null };
}

function bounded(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}
