/** The longest that a timer of JavaScript can be set to, in milliseconds: one of more than 24 days goes off at once. */
export const LONGEST_TIMER_MS = 2_147_483_647;

/** As `setTimeout`, for any time, infinity included. @returns what cancels it */
export function after(ms: number, run: () => void): () => void {
  let timer: NodeJS.Timeout;
  const arm = (left: number): void => {
    timer =
      left > LONGEST_TIMER_MS ? setTimeout(arm, LONGEST_TIMER_MS, left - LONGEST_TIMER_MS) : setTimeout(run, left);
  };
  arm(ms);
  return () => clearTimeout(timer);
}
