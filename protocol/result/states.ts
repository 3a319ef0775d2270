/** The states a task can be in; tasks may make up more of their own. Mirrors `celery/states.py`. */
export type State =
  | "PENDING"
  | "RECEIVED"
  | "STARTED"
  | "SUCCESS"
  | "FAILURE"
  | "RETRY"
  | "REVOKED"
  | "REJECTED"
  | "IGNORED"
  | (string & {});

/** The task is over and its result will not change. */
export const READY_STATES: ReadonlySet<string> = new Set(["SUCCESS", "FAILURE", "REVOKED"]);

/** The result is an exception. */
export const EXCEPTION_STATES: ReadonlySet<string> = new Set(["RETRY", "FAILURE", "REVOKED"]);

/** The exception is raised where the result is asked for. */
export const PROPAGATE_STATES: ReadonlySet<string> = new Set(["FAILURE", "REVOKED"]);

/** States that another state may follow. */
export const UNREADY_STATES: ReadonlySet<string> = new Set(["PENDING", "RECEIVED", "STARTED", "REJECTED", "RETRY"]);
