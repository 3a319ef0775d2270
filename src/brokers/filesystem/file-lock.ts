import { spawn } from "node:child_process";
import { once } from "node:events";
import { type FileHandle, open } from "node:fs/promises";

/**
 * kombu's lock on a file: flock(2), which Node does not have. The program `flock` takes it on our own open file, so the
 * lock is ours until the file is closed, and goes with the process whatever ends it.
 */

/** What became of an attempt. */
export type LockOutcome = "locked" | "taken" | "unavailable";

/**
 * @param waitSeconds how long to wait for others; 0 not to wait
 * @returns `unavailable` where there is no such program
 */
export async function lock(file: FileHandle, waitSeconds: number): Promise<LockOutcome> {
  const wait = waitSeconds > 0 ? ["-w", String(waitSeconds)] : ["-n"];
  const child = spawn("flock", ["-x", ...wait, "3"], { stdio: ["ignore", "ignore", "ignore", file.fd] });
  try {
    const [code] = await once(child, "exit");
    return code === 0 ? "locked" : "taken";
  } catch {
    return "unavailable";
  }
}

/** Runs something while holding the lock of a file, which is made when it is not there. */
export async function withLock<T>(path: string, run: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, "a+");
  try {
    await lock(file, 10);
    return await run(file);
  } finally {
    await file.close();
  }
}
