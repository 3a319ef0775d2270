import { writeFileSync } from "node:fs";
import type { Reporter, TestCase, TestModule } from "vitest/node";

/**
 * Writes what `script/test` prints last: how many passed, failed and were skipped, and why they were skipped.
 * The file is named by CELERIAC_TEST_SUMMARY.
 */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: errors.length, skipped: 0 };
    const skipped = new Map<string, number>();
    for (const module of modules) {
      // A file that could not be loaded, or a suite whose set-up failed, has no tests that could say so.
      for (const suite of [module, ...module.children.allSuites()]) if (suite.errors().length > 0) counts.failed += 1;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") counts.passed += 1;
        else if (state === "failed") counts.failed += 1;
        else {
          counts.skipped += 1;
          const why = reasonOf(test);
          skipped.set(why, (skipped.get(why) ?? 0) + 1);
        }
      }
    }
    const path = process.env.CELERIAC_TEST_SUMMARY;
    if (path) writeFileSync(path, JSON.stringify({ ...counts, skips: Object.fromEntries(skipped) }));
  }
}

/** The note given to `context.skip`, or the suite that was skipped as a whole. */
function reasonOf(test: TestCase): string {
  const result = test.result();
  const note = result.state === "skipped" ? result.note : undefined;
  const suite = test.parent.type === "suite" ? `${test.parent.fullName}` : test.fullName;
  return `${test.module.relativeModuleId}: ${suite}${note ? ` (${note})` : ""}`;
}
