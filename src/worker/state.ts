import type { Request } from "./request.ts";
import { idList, matchingStamps, RevokedTasks, revokedLimits } from "./revoked.ts";

/** What a worker has in hand. Mirrors `celery/worker/state.py`. */
export class WorkerState {
  readonly requests = new Map<string, Request>();
  /** Waiting for a slot, or running. */
  readonly reserved = new Set<Request>();
  readonly active = new Set<Request>();
  /** Waiting for their time to come, or for their turn where there is a rate limit. */
  readonly scheduled = new Set<Request>();
  readonly revoked = new RevokedTasks(revokedLimits(process.env));
  /** Values of stamps whose tasks are revoked, by the stamp's name. */
  readonly revokedStamps = new Map<string, Set<unknown>>();
  /** How many tasks of each name were started. */
  readonly total = new Map<string, number>();
  /** What `memsample` saw since the last `memdump`. */
  readonly memorySamples: string[] = [];
  processed = 0;
  /** Called when something was revoked. */
  onRevoked: (() => void) | undefined;

  /** Keeps tasks with these ids from running. */
  revoke(ids: readonly string[]): void {
    for (const id of ids) this.revoked.add(id);
    if (ids.length > 0) this.onRevoked?.();
  }

  /** Takes over tasks that were revoked elsewhere or before: a list, or older workers' mapping. */
  mergeRevoked(revoked: unknown): void {
    this.revoke(idList(revoked));
  }

  /** Revokes all tasks that have one of these values in a stamp. */
  revokeStamps(header: string, stamps: readonly unknown[]): void {
    const known = this.revokedStamps.get(header) ?? new Set();
    this.revokedStamps.set(header, known);
    for (const stamp of stamps) known.add(stamp);
    this.onRevoked?.();
  }

  /** Whether a task must not run: its id was revoked, or a stamp of it. */
  isRevoked({ id, headers }: Request): boolean {
    if (this.revoked.has(id)) return true;
    if (this.revokedStamps.size === 0) return false;
    return (headers.stamped_headers ?? []).some((header) => {
      const revoked = this.revokedStamps.get(header);
      return revoked !== undefined && matchingStamps(headers.stamps[header], [...revoked]).length > 0;
    });
  }

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
