import { loadavg } from "node:os";
import { Float } from "../../protocol/python/numbers.ts";
import type { EventDispatcher } from "../events/dispatcher.ts";
import { SOFTWARE_INFO } from "../version.ts";
import type { WorkerState } from "./state.ts";

/** Seconds between two heartbeats unless told otherwise. */
const INTERVAL = 2;

/** Tells monitors every few seconds that the worker lives. Mirrors `celery/worker/heartbeat.py Heart`. */
export class Heartbeat {
  readonly #events: EventDispatcher;
  readonly #state: WorkerState;
  readonly #interval: number;
  #timer: NodeJS.Timeout | undefined;

  readonly #onSent: () => void;

  /** @param interval seconds */
  constructor(events: EventDispatcher, state: WorkerState, interval = INTERVAL, onSent: () => void = () => {}) {
    this.#events = events;
    this.#state = state;
    this.#interval = interval;
    this.#onSent = onSent;
  }

  start(): void {
    this.#send("worker-online");
    this.#timer = setInterval(() => this.#send("worker-heartbeat"), this.#interval * 1000);
  }

  /** Sends `worker-offline`, if it ever started. */
  stop(): void {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#send("worker-offline");
  }

  #send(type: string): void {
    this.#events.send(type, lifeSigns(this.#state, this.#interval));
    this.#onSent();
  }
}

/** Sends one heartbeat, of a worker that may send none by itself. @param interval seconds */
export function heartbeat(events: EventDispatcher, state: WorkerState, interval = INTERVAL): void {
  events.send("worker-heartbeat", lifeSigns(state, interval));
}

function lifeSigns(state: WorkerState, interval: number): Record<string, unknown> {
  return {
    freq: new Float(interval),
    active: state.active.size,
    processed: state.processed,
    loadavg: loadavg().map((load) => new Float(Math.round(load * 100) / 100)),
    ...SOFTWARE_INFO,
  };
}
