import type { Request } from "./request.ts";
import { RevokedTasks } from "./revoked.ts";

/** What a worker has in hand. Mirrors `celery/worker/state.py`. */
export class WorkerState {
  readonly requests = new Map<string, Request>();
  /** Waiting for a slot, or running. */
  readonly reserved = new Set<Request>();
  readonly active = new Set<Request>();
  /** Waiting for their time to come. */
  readonly scheduled = new Set<Request>();
  readonly revoked = new RevokedTasks();
  /** How many tasks of each name were started. */
  readonly total = new Map<string, number>();
  processed = 0;

  taskScheduled(request: Request): void {
    this.requests.set(request.id, request);
    this.scheduled.add(request);
  }

  taskReserved(request: Request): void {
    this.requests.set(request.id, request);
    this.reserved.add(request);
    this.scheduled.delete(request);
  }

  taskAccepted(request: Request): void {
    this.active.add(request);
    this.total.set(request.task, (this.total.get(request.task) ?? 0) + 1);
    this.processed++;
  }

  taskReady(request: Request): void {
    if (this.requests.get(request.id) === request) this.requests.delete(request.id);
    this.reserved.delete(request);
    this.active.delete(request);
    this.scheduled.delete(request);
  }
}
