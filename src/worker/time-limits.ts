import { TimeLimitExceeded } from "../app/errors.ts";
import type { Settings } from "../app/settings.ts";
import { after } from "../timer.ts";
import type { Request } from "./request.ts";

/** What happens when a task has run for too long. */
export interface OnLimits {
  onSoft(): void;
  onHard(error: TimeLimitExceeded): void;
}

/** Sets the clocks for a task that begins to run. @returns what stops them */
export function limitTimers(
  request: Pick<Request, "softTimeLimit" | "timeLimit">,
  defaults: Pick<Settings, "taskTimeLimit" | "taskSoftTimeLimit">,
  { onSoft, onHard }: OnLimits,
): () => void {
  const soft = request.softTimeLimit ?? defaults.taskSoftTimeLimit;
  const hard = request.timeLimit ?? defaults.taskTimeLimit;
  const cancels: (() => void)[] = [];
  if (soft) cancels.push(after(soft * 1000, onSoft));
  if (hard) {
    const expire = (): void => onHard(new TimeLimitExceeded(`TimeLimitExceeded(${hard},)`, { args: [hard] }));
    cancels.push(after(hard * 1000, expire));
  }
  return () => {
    for (const cancel of cancels) cancel();
  };
}
