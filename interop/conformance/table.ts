import type { TestOutcome } from "./suite.ts";

const COLUMNS = ["passed", "failed", "skipped", "xfailed", "inapplicable"] as const;

/** The outcomes by file, as a table for people. Tests that pass against the suite's own expectation have passed. */
export function table(title: string, outcomes: readonly TestOutcome[]): string {
  const files = [...new Set(outcomes.map(fileOf))].sort();
  const rows = files.map((file) =>
    row(
      file,
      outcomes.filter((outcome) => fileOf(outcome) === file),
    ),
  );
  const head = `| ${title} | ${COLUMNS.join(" | ")} |`;
  const line = `| --- |${" ---: |".repeat(COLUMNS.length)}`;
  const failed = outcomes.filter(({ outcome }) => outcome === "failed");
  const shown = failed.map(({ test, message }) => `  ${test}: ${message.split("\n")[0]}`);
  return [
    "",
    head,
    line,
    ...rows,
    row("**all**", outcomes),
    ...(shown.length > 0 ? ["", "Failed:", ...shown] : []),
    "",
  ].join("\n");
}

function fileOf({ test }: TestOutcome): string {
  return test.split("::")[0] as string;
}

function row(name: string, outcomes: readonly TestOutcome[]): string {
  const counts = COLUMNS.map(
    (column) =>
      outcomes.filter(({ outcome }) => outcome === column || (column === "passed" && outcome === "xpassed")).length,
  );
  return `| ${name} | ${counts.join(" | ")} |`;
}
