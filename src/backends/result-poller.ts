import type { TaskMeta } from "../../protocol/result/meta.ts";
import type { OperationalError } from "../app/errors.ts";
import { Waiters } from "./waiters.ts";

/** What the poller needs of the backend. */
export interface PollerContext<Row> {
  /** The rows of these tasks that are there. @throws OperationalError */
  rows(taskIds: readonly string[]): Promise<Row[]>;
  taskId(row: Row): string;
  /** @throws DecodeError */
  read(row: Row): TaskMeta;
  /** Milliseconds between two looks for one task in the end; 500 unless given. */
  longestPauseMs?: number;
  /** Called when the first waits for any task, and when nobody waits any more. */
  onWaiting?(waiting: boolean): void;
}

/** When to look for a task again. */
interface Look {
  since: number;
  at: number;
}

/** Milliseconds between two looks for one task: at first, and in the end (Celery looks every half second). */
const SHORTEST_MS = 20;
const LONGEST_MS = 500;

/**
 * Waits for any number of results with one question at a time, where nobody says that a result came. A task is looked for at once, then after pauses that
 * grow to a quarter of the time that it has been waited for; looks that are due soon are made together.
 */
export class ResultPoller<Row> {
  readonly #context: PollerContext<Row>;
  readonly #waiters: Waiters;
  readonly #looks = new Map<string, Look>();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  /** Whether the store ever answered: then a connection that breaks is worth waiting for. */
  #answered = false;

  constructor(context: PollerContext<Row>) {
    this.#context = context;
    this.#waiters = new Waiters(
      (taskId) => this.#begin(taskId),
      (taskId) => this.#end(taskId),
    );
  }

  wait(taskId: string, signal: AbortSignal, onState?: (meta: TaskMeta) => void): Promise<TaskMeta> {
    return this.#waiters.wait(taskId, signal, onState);
  }

  /** Looks for a task at once, or for all, if anybody waits: something has changed. */
  look(taskId?: string): void {
    const now = performance.now();
    const looks = taskId === undefined ? [...this.#looks.values()] : [this.#looks.get(taskId)];
    for (const look of looks) if (look) look.at = now;
    this.#schedule();
  }

  /** @param error what those who still wait are told */
  close(error: OperationalError): void {
    this.#waiters.failAll(error);
    clearTimeout(this.#timer);
  }

  #begin(taskId: string): void {
    const now = performance.now();
    this.#looks.set(taskId, { since: now, at: now });
    this.#schedule();
    if (this.#looks.size === 1) this.#context.onWaiting?.(true);
  }

  #end(taskId: string): void {
    this.#looks.delete(taskId);
    if (this.#looks.size === 0) this.#context.onWaiting?.(false);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#looking || this.#looks.size === 0) return;
    let next = Number.POSITIVE_INFINITY;
    for (const { at } of this.#looks.values()) next = Math.min(next, at);
    this.#timer = setTimeout(() => void this.#look(), Math.max(0, next - performance.now()));
  }

  async #look(): Promise<void> {
    this.#looking = true;
    const taskIds = this.#dueSoon();
    try {
      const rows = await this.#context.rows(taskIds);
      this.#answered = true;
      for (const row of rows) this.#tell(row);
    } catch (error) {
      if (!this.#answered) for (const taskId of taskIds) this.#waiters.fail(taskId, error as Error);
    } finally {
      this.#looking = false;
    }
    this.#schedule();
  }

  #dueSoon(): string[] {
    const now = performance.now();
    const longest = this.#context.longestPauseMs ?? LONGEST_MS;
    const due: string[] = [];
    for (const [taskId, look] of this.#looks) {
      const pause = Math.min(Math.max((now - look.since) / 4, SHORTEST_MS), longest);
      if (look.at > now + pause / 2) continue;
      look.at = now + pause;
      due.push(taskId);
    }
    return due;
  }

  #tell(row: Row): void {
    try {
      const meta = this.#context.read(row);
      if (meta.status !== "PENDING") this.#waiters.tell(meta);
    } catch (error) {
      this.#waiters.fail(this.#context.taskId(row), error as Error);
    }
  }
}
