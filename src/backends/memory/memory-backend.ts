import { pendingMeta, readMeta, type TaskMeta } from "../../../protocol/result/meta.ts";
import type { ResultNode } from "../../../protocol/result/result-tuple.ts";
import { READY_STATES } from "../../../protocol/result/states.ts";
import { OperationalError } from "../../app/errors.ts";
import type { BackendOptions, ResultBackend } from "../backend.ts";
import { Waiters } from "../waiters.ts";
import { MemoryChords } from "./chords.ts";
import { type MemoryStore, storeOf } from "./store.ts";

/** Results in this process, in their written form, so that they come back as from any other backend. */
export class MemoryBackend implements ResultBackend {
  readonly persistent = true;
  readonly supportsResultCompression = false;
  readonly url: string;
  readonly chords: MemoryChords;
  readonly #options: BackendOptions;
  readonly #store: MemoryStore;
  readonly #waiters = new Waiters(
    () => undefined,
    () => undefined,
  );
  readonly #onResult = (meta: TaskMeta): void => this.#waiters.tell(meta);
  #closed = false;

  constructor(options: BackendOptions) {
    this.url = options.url;
    this.#options = options;
    this.#store = storeOf(options.url);
    this.chords = new MemoryChords(this.#store);
    this.#store.listeners.add(this.#onResult);
  }

  async storeResult(meta: TaskMeta): Promise<void> {
    const record = this.#options.codec.encode(meta);
    if (this.#read(meta.task_id).status === "SUCCESS") return;
    const { expires, failureExpires } = this.#options;
    const seconds = (meta.status === "FAILURE" ? (failureExpires ?? expires) : expires) ?? 0;
    this.#store.store(meta.task_id, record, seconds);
    const stored = this.#read(meta.task_id);
    for (const tell of this.#store.listeners) tell(stored);
  }

  async getTaskMeta(taskId: string): Promise<TaskMeta> {
    return this.#read(taskId);
  }

  async wait(taskId: string, signal: AbortSignal, onState?: (meta: TaskMeta) => void): Promise<TaskMeta> {
    if (this.#closed) throw new OperationalError("the result backend is closed");
    const waiting = this.#waiters.wait(taskId, signal, onState);
    const known = this.#read(taskId);
    if (READY_STATES.has(known.status) || known.status !== "PENDING") this.#waiters.tell(known);
    return waiting;
  }

  async forget(taskId: string): Promise<void> {
    this.#store.results.delete(taskId);
  }

  async saveGroup(group: ResultNode): Promise<void> {
    this.#store.groups.set(group.id, group);
  }

  async restoreGroup(groupId: string): Promise<ResultNode | null> {
    return this.#store.groups.get(groupId) ?? null;
  }

  async deleteGroup(groupId: string): Promise<void> {
    this.#store.groups.delete(groupId);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#store.listeners.delete(this.#onResult);
    this.#waiters.failAll(new OperationalError("the result backend was closed before the result came"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #read(taskId: string): TaskMeta {
    const record = this.#store.get(taskId);
    return record ? readMeta(this.#options.codec.decode(record), taskId) : pendingMeta(taskId);
  }
}
