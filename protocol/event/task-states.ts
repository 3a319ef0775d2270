/** The state that a task event tells of, by the second part of its type. Mirrors `celery/events/state.py`. */
export const TASK_STATES: Readonly<Record<string, string>> = {
  sent: "PENDING",
  received: "RECEIVED",
  started: "STARTED",
  failed: "FAILURE",
  retried: "RETRY",
  succeeded: "SUCCESS",
  revoked: "REVOKED",
  rejected: "REJECTED",
};

/** The later a state is in a task's life, the earlier it is here; custom states come in the middle. */
const PRECEDENCE = ["SUCCESS", "FAILURE", null, "REVOKED", "STARTED", "RECEIVED", "REJECTED", "RETRY", "PENDING"];

/** Whether a state is later in a task's life than another. Mirrors `celery/states.py precedence`. */
export function takesPrecedence(state: string, other: string): boolean {
  return rank(state) < rank(other);
}

function rank(state: string): number {
  const found = PRECEDENCE.indexOf(state);
  return found < 0 ? PRECEDENCE.indexOf(null) : found;
}
