import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { inject } from "vitest";
import { command } from "../../test/support/command.ts";
import type { Project } from "../../test/support/project.ts";

/** How one of Celery's tests ended. */
export interface TestOutcome {
  /** Its file, class, function and parameters, as pytest names them. */
  test: string;
  outcome: "passed" | "failed" | "skipped" | "xfailed" | "xpassed" | "inapplicable";
  seconds: number;
  /** Why it failed, was skipped, or cannot apply. */
  message: string;
}

/** Where the tests and the worker meet. */
export interface Meeting {
  broker: string;
  backend: string;
  /** The Redis server that the tests write to: for them alone, since they purge queues and count channels. */
  redis: string;
}

/** The folder of Celery's tests; undefined where there is no Python. */
export async function celerySuite(): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(join(import.meta.dirname, "make-suite"));
    return stdout.trim();
  } catch (error) {
    // What `make-suite` says when there is no Python.
    if ((error as { code?: unknown }).code === 69) return undefined;
    throw error;
  }
}

/** The tests that {@link runSuite} runs in a minute. */
export function fastTests(): string[] {
  const lines = readFileSync(join(import.meta.dirname, "fast.txt"), "utf8").split("\n");
  return lines.filter((line) => line !== "" && !line.startsWith("#"));
}

/**
 * Runs Celery's tests against a celeriac worker of this build, that runs one task at a time.
 *
 * @param tests files, or tests in them, as pytest names them; all unless given
 * @param minutes after which it is ended
 */
export async function runSuite(
  project: Project,
  suite: string,
  { broker, backend, redis }: Meeting,
  tests: readonly string[],
  minutes: number,
): Promise<{ outcomes: TestOutcome[]; output: string }> {
  symlinkSync(join(inject("built"), "node_modules/ioredis"), join(project.folder, "node_modules/ioredis"));
  cpSync(join(import.meta.dirname, "tasks"), join(project.folder, "tasks"), { recursive: true });
  const worker = ["-A", "./tasks/index", "worker", "-l", "INFO", "-c", "1", "-E", "-f", "worker.log"];
  const { hostname, port } = new URL(redis);
  const report = join(mkdtempSync(join(tmpdir(), "celeriac-conformance-")), "report.json");
  const plugins = ["outside_worker", "no:cacheprovider", "no:timeout", "no:rerunfailures", "celery.contrib.pytest"];
  const args = [
    ...["-m", "pytest", "-q", "--tb=short", "--rootdir", suite, "--ignore=t/integration/test_backend.py"],
    ...plugins.flatMap((plugin) => ["-p", plugin]),
    ...(tests.length > 0 ? tests.map((test) => `t/integration/${test}`) : ["t/integration"]),
  ];
  const { output } = await command(join(suite, "venv/bin/python"), args, {
    cwd: suite,
    killAfter: minutes * 60_000,
    env: {
      TEST_BROKER: broker,
      TEST_BACKEND: backend,
      CELERY_BROKER_URL: broker,
      CELERY_RESULT_BACKEND: backend,
      REDIS_HOST: hostname,
      REDIS_PORT: port,
      PYTHONPATH: `${suite}:${import.meta.dirname}`,
      PYTHONDONTWRITEBYTECODE: "1",
      PATH: `${join(suite, "venv/bin")}:${process.env.PATH}`,
      OUTSIDE_WORKER: JSON.stringify([process.execPath, join(inject("built"), "dist/src/cli/main.js"), ...worker]),
      OUTSIDE_FOLDER: project.folder,
      OUTSIDE_REPORT: report,
      INAPPLICABLE: join(import.meta.dirname, "inapplicable.txt"),
    },
  });
  const written: Record<string, [TestOutcome["outcome"], number, string]> = readReport(report, output);
  const outcomes = Object.entries(written).map(([test, [outcome, seconds, message]]) => ({
    // What Celery's authors expect to fail with theirs, and does not with ours.
    ...{ test, outcome: message.startsWith("[XPASS(strict)]") ? "xpassed" : outcome, seconds, message },
  }));
  return { outcomes, output };
}

function readReport(report: string, output: string): Record<string, [TestOutcome["outcome"], number, string]> {
  try {
    return JSON.parse(readFileSync(report, "utf8"));
  } catch (cause) {
    throw new Error(`no test ran:\n${output}`, { cause });
  }
}
