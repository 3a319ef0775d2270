import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { CommandFailure } from "./errors.ts";

/**
 * Writes the process's id to a file, which shows other workers that this one runs. The file of a process that is gone
 * is replaced. Mirrors `celery/platforms.py Pidfile`.
 *
 * @returns removes the file, if it is still ours
 * @throws CommandFailure when another worker runs, or the file cannot be written
 */
export function takePidfile(path: string): () => void {
  try {
    const owner = ownerOf(path);
    if (owner !== undefined && runs(owner)) {
      throw new CommandFailure(`--pidfile ${path} is there already; is another worker running? (pid: ${owner})`);
    }
    rmSync(path, { force: true });
    writeFileSync(path, `${process.pid}\n`, { flag: "wx" });
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    throw new CommandFailure(`--pidfile ${path}: ${(error as Error).message}`);
  }
  return () => {
    if (ownerOf(path) === process.pid) rmSync(path, { force: true });
  };
}

/** The process that wrote the file; undefined when there is none, or nothing in it that could be one. */
function ownerOf(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "utf8").trim());
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Our own id was another's before: in containers, each first process has the same. */
function runs(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
