import { spawn } from "node:child_process";
import { constants } from "node:os";

/** Signals that whoever knows this process by its id may send to the worker in it. */
const FORWARDED = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1"] as const;

/** Replaces a process by a program; Node has it from 22.15 on, but not on Windows. */
type Execve = (file: string, args: readonly string[], env: NodeJS.ProcessEnv) => never;

/**
 * Runs the same command again, in this process where Node can do that, else below it: its signals are passed on, and
 * its exit code is ours. Mirrors `celery/apps/worker.py _reload_current_worker`.
 */
export async function runAgain(): Promise<number> {
  const args = [...process.execArgv, ...process.argv.slice(1)];
  const { execve } = process as { execve?: Execve };
  if (execve) execve(process.execPath, [process.execPath, ...args], process.env);
  const child = spawn(process.execPath, args, { stdio: "inherit" });
  for (const signal of FORWARDED) {
    process.removeAllListeners(signal);
    process.on(signal, () => void child.kill(signal));
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? "SIGKILL"]));
  });
}
