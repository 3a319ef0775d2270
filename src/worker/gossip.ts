import type { CeleryEvent } from "../../protocol/event/event.ts";
import type { Electorate } from "../control/panel-context.ts";
import type { EventDispatcher } from "../events/dispatcher.ts";
import type { Events } from "../events/events.ts";
import type { EventReceiver } from "../events/receiver.ts";
import type { State, WorkerSeen } from "../events/state.ts";
import type { Logger } from "../logger.ts";

/** How often workers are looked for that were not heard of any more, in milliseconds. */
const PERIOD_MS = 5000;

/** Seconds that an event waits for this worker: two heartbeats are enough. */
const QUEUE_TTL = 2;

/** Transports on which workers hear each other in time. */
const TRANSPORTS: ReadonlySet<string> = new Set(["amqp", "redis"]);

/** What it is made with. */
export interface GossipOptions {
  hostname: string;
  events: Events;
  dispatcher: EventDispatcher;
  log: Logger;
  /** Sends the signature that an elected worker is to send. */
  sendSignature(action: unknown): Promise<void>;
}

interface Candidate {
  clock: number;
  /** `node@host.pid` */
  name: string;
  topic: string;
  action: unknown;
}

/**
 * Listens to the other workers: keeps the clock up with theirs, knows who is alive, and takes part in elections.
 * Mirrors `celery/worker/consumer/gossip.py`.
 */
export class Gossip implements Electorate {
  readonly #options: GossipOptions;
  readonly #receiver: EventReceiver;
  readonly #candidates = new Map<string, Candidate[]>();
  readonly #replies = new Map<string, string[]>();
  #timer: NodeJS.Timeout | undefined;
  /** The other workers. */
  readonly state: State;

  constructor(options: GossipOptions) {
    const { events, log } = options;
    this.#options = options;
    this.state = events.state({
      maxTasksInMemory: 1,
      onNodeJoin: ({ hostname }) => log.debug({}, `${hostname} joined the party`),
      onNodeLeave: ({ hostname }) => log.debug({}, `${hostname} left`),
    });
    this.#receiver = events.receiver({
      routingKey: "worker.#",
      queueTtl: QUEUE_TTL,
      wakeup: false,
      handlers: {
        "worker-elect": (event) => this.#onElect(event),
        "worker-elect-ack": (event) => this.#onElectAck(event),
        "*": (event) => this.#onWorker(event),
      },
    });
  }

  /** Whether workers on this transport can gossip. */
  static works(transport: string): boolean {
    return TRANSPORTS.has(transport);
  }

  /** @throws OperationalError */
  async start(): Promise<void> {
    await this.#receiver.start();
    this.#timer = setInterval(() => this.#dropLost(), PERIOD_MS);
    this.#timer.unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#receiver.close();
  }

  election(id: string, topic: string, action: unknown): void {
    this.#replies.set(id, []);
    this.#options.dispatcher.send("worker-elect", { id, topic, action, cver: 1 });
  }

  #onWorker(event: CeleryEvent): void {
    if (event.hostname !== this.#options.hostname && event.type.startsWith("worker-")) this.state.event(event);
  }

  #onElect({ id, clock, hostname, pid, topic, action }: CeleryEvent): void {
    if (typeof id !== "string" || typeof topic !== "string") return;
    const known = this.#candidates.get(id) ?? [];
    known.push({ clock: clock ?? 0, name: `${hostname}.${pid}`, topic, action });
    this.#candidates.set(id, known);
    this.#options.dispatcher.send("worker-elect-ack", { id });
  }

  /** Each worker decides for itself when all have acknowledged, and all come to the same end. */
  #onElectAck({ id, hostname }: CeleryEvent): void {
    const replies = this.#replies.get(String(id));
    if (!replies) return;
    replies.push(hostname);
    // This one is not in the state, which knows the others.
    if (replies.length < this.state.aliveWorkers().length + 1) return;
    const [leader] = (this.#candidates.get(String(id)) ?? []).sort(
      (a, b) => a.clock - b.clock || (a.name < b.name ? -1 : 1),
    );
    this.#candidates.delete(String(id));
    this.#replies.delete(String(id));
    if (leader) this.#elected(String(id), leader);
  }

  #elected(id: string, { name, topic, action }: Candidate): void {
    const { hostname, log, sendSignature } = this.#options;
    if (name !== `${hostname}.${process.pid}`) {
      log.info({}, `node ${name} elected for '${id}'`);
      return;
    }
    log.info({}, `I won the election '${id}'`);
    if (topic !== "task") {
      log.error({}, `Unknown election topic '${topic}'`);
      return;
    }
    sendSignature(action).catch((error: unknown) => log.error({ err: error }, `Could not call task: ${error}`));
  }

  #dropLost(): void {
    const lost: WorkerSeen[] = [...this.state.workers.values()].filter((worker) => !this.state.isAlive(worker));
    for (const { hostname } of lost) {
      this.#options.log.info({ node: hostname }, `missed heartbeat from ${hostname}`);
      this.state.workers.delete(hostname);
    }
  }
}
