import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

/**
 * The interpreter of a Python environment with this Celery, which is made when it is missing; undefined where there is
 * no Python that this Celery runs with, which is said on stderr.
 * @param version one of versions.json
 * @param extra more requirements, for an environment of its own: `django`
 */
export function madeVenv(version: string, ...extra: string[]): Promise<string | undefined> {
  return made("make-venv", version, ...extra);
}

/** The same with Flower in it, of the version that versions.json names. */
export function madeFlower(): Promise<string | undefined> {
  return made("make-flower");
}

async function made(script: string, ...args: string[]): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(join(import.meta.dirname, "python", script), args);
    return stdout.trim();
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    // What `make-venv` says when there is no Python.
    if (code !== 69) throw error;
    console.warn(stderr?.trim());
    return undefined;
  }
}
