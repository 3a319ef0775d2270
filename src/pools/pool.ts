import type { Logger } from "../logger.ts";

/** Something for a pool to run: one task. */
export interface Job {
  readonly id: string;
  /**
   * Called when the job gets a slot. Settles when it is over; never rejects.
   * @param child where the pool has children: the one that is this job's until then
   */
  run(child?: JobChild): Promise<void>;
}

/** Where tasks run, a limited number at a time. */
export interface Pool extends AsyncDisposable {
  /** `async`, `solo`, `threads`, `processes`. */
  readonly name: string;
  /** How many jobs run at a time. */
  readonly limit: number;
  /** How many run now. */
  readonly active: number;
  /** Ids of the processes that tasks run in. */
  readonly pids: readonly number[];
  /** Starts the children, where there are any. @throws Error when they cannot be started */
  start(): Promise<void>;
  /** Runs a job as soon as there is room, in the order of the calls. */
  apply(job: Job): void;
  /** Changes the limit, to no less than 0; jobs that run already go on. */
  resize(limit: number): void;
  /** Puts new children in the place of all; jobs that run already end where they are. */
  restart(): void;
  /** Resolves when nothing runs and nothing waits. */
  idle(): Promise<void>;
  /** Drops the jobs that wait, and says which. */
  drain(): Job[];
  /** Ends the children at once, whatever they do. */
  terminate(): Promise<void>;
}

/**
 * A child of a pool, a process or a thread, as the job sees that runs there: nothing that is done to it reaches the
 * child once the job is over, and with it no other job.
 */
export interface JobChild {
  /** The process's id; a thread's is that of the whole. */
  readonly pid: number;
  /** Has the child do the work. @param onCall answers what the work asks of this side, by the way */
  run(work: unknown, onCall: (call: unknown) => Promise<unknown>): Promise<JobEnd>;
  /** Says something to the work under way. */
  tell(message: unknown): void;
  /** Sends the process a signal; ends the thread, whatever the signal. The child is replaced when it is gone. */
  kill(signal: NodeJS.Signals): void;
}

/** How work in a child ended: with a result, or with the child. */
export type JobEnd =
  | { readonly kind: "done"; readonly result: unknown }
  /** `status` as billiard's `human_status` says it; `job` counts the pool's jobs from 0. */
  | { readonly kind: "lost"; readonly status: string; readonly job: number };

/** What a pool with children is made with. */
export interface PoolOptions {
  /** How many jobs run at a time. */
  limit: number;
  /** The program that a child runs. */
  program: URL;
  /** What each child is told at its start. */
  data: unknown;
  /** After how many jobs a child is replaced; null for never. */
  maxTasksPerChild: number | null;
  /** KiB of memory after which a child is replaced, once it has ended its job; null for no limit. */
  maxMemoryPerChild: number | null;
  log: Logger;
}
