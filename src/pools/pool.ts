/** Something for a pool to run: one task. */
export interface Job {
  readonly id: string;
  /** Called when the job gets a slot. Settles when it is over; never rejects. */
  run(): Promise<void>;
}

/** Where tasks run, a limited number at a time. */
export interface Pool extends AsyncDisposable {
  /** How many jobs run at a time. */
  readonly limit: number;
  /** How many run now. */
  readonly active: number;
  /** Runs a job as soon as there is room, in the order of the calls. */
  apply(job: Job): void;
  /** Changes the limit; jobs that run already go on. */
  resize(limit: number): void;
  /** Resolves when nothing runs and nothing waits. */
  idle(): Promise<void>;
  /** Drops the jobs that wait, and says which. */
  drain(): Job[];
}
