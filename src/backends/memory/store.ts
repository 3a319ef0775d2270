import type { TaskMeta } from "../../../protocol/result/meta.ts";
import type { ResultNode } from "../../../protocol/result/result-tuple.ts";
import type { ChordPart } from "../backend.ts";

/** A chord under way. */
export interface MemoryChord {
  /** 0 as long as it is not known. */
  size: number;
  /** Parts that running ones added. */
  added: number;
  parts: Map<string, ChordPart>;
  claimed: boolean;
}

/** The results of one URL, shared by all of a process that use it. */
export class MemoryStore {
  readonly results = new Map<string, Uint8Array>();
  readonly groups = new Map<string, ResultNode>();
  readonly chords = new Map<string, MemoryChord>();
  readonly headers = new Map<string, ResultNode>();
  readonly listeners = new Set<(meta: TaskMeta) => void>();
  readonly #expiries = new Map<string, number>();

  /** Keeps a record for some seconds, or for good. */
  store(taskId: string, record: Uint8Array, seconds: number): void {
    this.#dropExpired();
    this.results.set(taskId, record);
    // The order of insertion is the order of expiry, as far as all are kept as long.
    this.#expiries.delete(taskId);
    if (seconds > 0) this.#expiries.set(taskId, Date.now() + seconds * 1000);
  }

  get(taskId: string): Uint8Array | undefined {
    const expiry = this.#expiries.get(taskId);
    if (expiry !== undefined && expiry < Date.now()) this.#drop(taskId);
    return this.results.get(taskId);
  }

  #dropExpired(): void {
    const now = Date.now();
    for (const [taskId, expiry] of this.#expiries) {
      if (expiry > now) return;
      this.#drop(taskId);
    }
  }

  #drop(taskId: string): void {
    this.results.delete(taskId);
    this.#expiries.delete(taskId);
  }
}

type Holder = { [KEY]?: Map<string, MemoryStore> };
const KEY = Symbol.for("celeriac.memory-results");

/** The store of a URL: applications of one process meet there, whichever copy of this package they use. */
export function storeOf(url: string): MemoryStore {
  const holder = globalThis as Holder;
  holder[KEY] ??= new Map();
  const store = holder[KEY].get(url) ?? new MemoryStore();
  holder[KEY].set(url, store);
  return store;
}
