import { LONGEST_TIMER_MS } from "../timer.ts";
import type { Request } from "./request.ts";

/** Tasks whose time has not come, and one timer for the next of them. */
export class EtaSchedule {
  readonly #onDue: (request: Request) => void;
  /** A binary heap: the next task is the first. */
  readonly #heap: { due: number; request: Request }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(onDue: (request: Request) => void) {
    this.#onDue = onDue;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** The tasks, in no particular order. */
  requests(): Request[] {
    return this.#heap.map(({ request }) => request);
  }

  /** @param due milliseconds since the epoch */
  add(request: Request, due: number): void {
    const heap = this.#heap;
    heap.push({ due, request });
    for (let child = heap.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (this.#due(parent) <= this.#due(child)) break;
      this.#swap(parent, child);
      child = parent;
    }
    this.#arm();
  }

  /** Forgets the tasks that are not worth keeping. */
  keep(isKept: (request: Request) => boolean): void {
    for (const request of this.clear()) if (isKept(request)) this.add(request, request.eta ?? 0);
  }

  /** Forgets everything, and says what it was. */
  clear(): Request[] {
    const requests = this.requests();
    this.#heap.length = 0;
    clearTimeout(this.#timer);
    return requests;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const next = this.#heap[0];
    if (!next) return;
    const wait = Math.min(LONGEST_TIMER_MS, Math.max(0, next.due - Date.now()));
    this.#timer = setTimeout(() => this.#runDue(), wait);
  }

  #runDue(): void {
    for (let next = this.#heap[0]; next && next.due <= Date.now(); next = this.#heap[0]) {
      this.#removeFirst();
      this.#onDue(next.request);
    }
    this.#arm();
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    heap[0] = last;
    for (let parent = 0; ; ) {
      const left = parent * 2 + 1;
      const child = left + 1 < heap.length && this.#due(left + 1) < this.#due(left) ? left + 1 : left;
      if (child >= heap.length || this.#due(parent) <= this.#due(child)) return;
      this.#swap(parent, child);
      parent = child;
    }
  }

  #due(position: number): number {
    return (this.#heap[position] as { due: number }).due;
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    [heap[a], heap[b]] = [heap[b] as { due: number; request: Request }, heap[a] as { due: number; request: Request }];
  }
}
