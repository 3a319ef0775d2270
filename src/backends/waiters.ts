import { repr } from "../../protocol/python/repr.ts";
import type { TaskMeta } from "../../protocol/result/meta.ts";
import { READY_STATES } from "../../protocol/result/states.ts";

/** One `get()` that waits. */
interface Waiter {
  resolve(meta: TaskMeta): void;
  reject(error: Error): void;
  onState: ((meta: TaskMeta) => void) | undefined;
}

/** Those who wait for one task, and what they were told last. */
interface Waiting {
  waiters: Set<Waiter>;
  told: string;
}

/** Who waits for which task, in one process. */
export class Waiters {
  readonly #byTask = new Map<string, Waiting>();
  /** Called when the first waits for a task, and when nobody does any more. */
  readonly #onFirst: (taskId: string) => void;
  readonly #onLast: (taskId: string) => void;

  constructor(onFirst: (taskId: string) => void, onLast: (taskId: string) => void) {
    this.#onFirst = onFirst;
    this.#onLast = onLast;
  }

  /** The tasks that somebody waits for. */
  get taskIds(): string[] {
    return [...this.#byTask.keys()];
  }

  has(taskId: string): boolean {
    return this.#byTask.has(taskId);
  }

  /** Resolves with the task's final record, once {@link tell} brings it. @throws the signal's reason */
  wait(taskId: string, signal: AbortSignal, onState?: (meta: TaskMeta) => void): Promise<TaskMeta> {
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise<TaskMeta>((resolve, reject) => {
      const onAbort = (): void => waiter.reject(signal.reason);
      const leave = (): void => {
        signal.removeEventListener("abort", onAbort);
        this.#remove(taskId, waiter);
      };
      const waiter: Waiter = {
        onState,
        resolve(meta) {
          leave();
          resolve(meta);
        },
        reject(error) {
          leave();
          reject(error);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#add(taskId, waiter);
    });
  }

  /** Passes a record on to who waits for it; a final one ends their wait. One that was just told is not told again. */
  tell(meta: TaskMeta): void {
    const waiting = this.#byTask.get(meta.task_id);
    if (!waiting) return;
    if (READY_STATES.has(meta.status)) {
      for (const waiter of [...waiting.waiters]) waiter.resolve(meta);
      return;
    }
    const text = repr([meta.status, meta.result]);
    if (text === waiting.told) return;
    waiting.told = text;
    for (const waiter of waiting.waiters) waiter.onState?.(meta);
  }

  /** Ends the wait for one task with an error. */
  fail(taskId: string, error: Error): void {
    for (const waiter of [...(this.#byTask.get(taskId)?.waiters ?? [])]) waiter.reject(error);
  }

  failAll(error: Error): void {
    for (const taskId of this.taskIds) this.fail(taskId, error);
  }

  #add(taskId: string, waiter: Waiter): void {
    const waiting = this.#byTask.get(taskId);
    if (waiting) {
      waiting.waiters.add(waiter);
    } else {
      this.#byTask.set(taskId, { waiters: new Set([waiter]), told: "" });
      this.#onFirst(taskId);
    }
  }

  #remove(taskId: string, waiter: Waiter): void {
    const waiters = this.#byTask.get(taskId)?.waiters;
    if (!waiters?.delete(waiter) || waiters.size > 0) return;
    this.#byTask.delete(taskId);
    this.#onLast(taskId);
  }
}
