import type { Untyped } from "../app/untyped.ts";
import type { Reply } from "./mailbox.ts";

/** Where an inspection looks, and how long it waits. */
export interface InspectOptions {
  /** Node names; everyone when left out. */
  destination?: readonly string[];
  /** Seconds to wait for each further reply; 1 unless given. */
  timeout?: number;
  /** A pattern for node names, read as `matcher` says; both or neither. */
  pattern?: string;
  matcher?: "glob" | "pcre";
  /** Stop after so many replies. */
  limit?: number;
  /** Called with each reply as it comes. */
  onReply?: (reply: Reply) => void;
}

/** Asks the workers, and gives the replies as they came. */
export type Ask = (
  command: string,
  args: Record<string, unknown>,
  options: InspectOptions & { reply: true },
) => Promise<Reply[]>;

/**
 * Questions to the workers: each answers `{ node: answer }` of those who replied, or null when nobody did.
 * Mirrors `celery/app/control.py Inspect`.
 */
export class Inspect {
  readonly #ask: Ask;
  readonly #options: InspectOptions;

  constructor(ask: Ask, options: InspectOptions) {
    this.#ask = ask;
    this.#options = options;
  }

  /** `{ node: { ok: "pong" } }` @param destination in the place of the inspection's own */
  ping(destination?: readonly string[]): Promise<Untyped> {
    return this.request("ping", {}, destination ? { destination } : {});
  }

  /** Tasks that run. @param safe true for the arguments as text */
  active(safe: boolean | null = null): Promise<Untyped> {
    return this.request("active", { safe });
  }

  /** Tasks that wait for a slot of the pool. */
  reserved(): Promise<Untyped> {
    return this.request("reserved");
  }

  /** Tasks that wait for their time. */
  scheduled(): Promise<Untyped> {
    return this.request("scheduled");
  }

  /** Ids of revoked tasks. */
  revoked(): Promise<Untyped> {
    return this.request("revoked");
  }

  /** Names of registered tasks. @param taskinfoitems attributes to show beside, under Python's names */
  registered(...taskinfoitems: string[]): Promise<Untyped> {
    return this.request("registered", { taskinfoitems });
  }

  stats(): Promise<Untyped> {
    return this.request("stats");
  }

  /** The queues that each worker takes from. */
  activeQueues(): Promise<Untyped> {
    return this.request("active_queues");
  }

  /** The logical clock of each worker. */
  clock(): Promise<Untyped> {
    return this.request("clock");
  }

  /** Settings, passwords masked. @param withDefaults true for those that nobody set as well */
  conf(withDefaults = false): Promise<Untyped> {
    return this.request("conf", { with_defaults: withDefaults });
  }

  /** What a bug report needs. */
  report(): Promise<Untyped> {
    return this.request("report");
  }

  /** Tasks by id, wherever they are: `{ node: { id: [state, task] } }`. */
  queryTask(...ids: string[]): Promise<Untyped> {
    return this.request("query_task", { ids });
  }

  /** Tells the workers which tasks are revoked, and asks for those that they know. */
  hello(fromNode: string, revoked: readonly string[] | null = null): Promise<Untyped> {
    return this.request("hello", { from_node: fromNode, revoked });
  }

  memsample(): Promise<Untyped> {
    return this.request("memsample");
  }

  memdump(samples = 10): Promise<Untyped> {
    return this.request("memdump", { samples });
  }

  /** Python draws a graph of objects, this package writes a snapshot of the heap. */
  objgraph(type = "Request", n = 200, maxDepth = 10): Promise<Untyped> {
    return this.request("objgraph", { num: n, max_depth: maxDepth, type });
  }

  /** Any command, by name: those that an application added too. */
  async request(command: string, args: Record<string, unknown> = {}, options: InspectOptions = {}): Promise<Untyped> {
    const replies = await this.#ask(command, args, { ...this.#options, ...options, reply: true });
    return replies.length > 0 ? Object.assign({}, ...replies) : null;
  }
}
