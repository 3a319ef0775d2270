import { it } from "vitest";

/** `it`, or where there is a reason against it a test that is skipped and names the reason in the summary. */
export function itUnless(reason: string | undefined): (name: string, test: () => Promise<void>) => void {
  return (name, test) => it(name, ({ skip }) => (reason ? skip(reason) : test()));
}
