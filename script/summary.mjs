// Prints what was skipped and why, then the one line of counts; see script/test.
import { readFileSync } from "node:fs";

const [file, exitCode, passed, failed] = process.argv.slice(2);
const counts = read(file);
// Vitest can fail although no test did: an unhandled rejection, a configuration that it cannot read.
const unseen = Number(exitCode) !== 0 && counts.failed === 0 ? 1 : 0;
const total = Number(failed) + counts.failed + unseen;
for (const [why, count] of Object.entries(counts.skips)) console.log(`SKIPPED ${count}: ${why}`);
console.log(`${Number(passed) + counts.passed} passed, ${total} failed, ${counts.skipped} skipped`);
process.exitCode = total > 0 ? 1 : 0;

function read(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    console.log("The tests gave no summary: they did not run to their end.");
    return { passed: 0, failed: 1, skipped: 0, skips: {} };
  }
}
