import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GivenSettings } from "../src/index.ts";

/** A place for results, as each language is told of it. */
export interface ResultStore {
  backend: string;
  /** Where Python has another URL for it. */
  pythonBackend?: string;
  /** Settings of both, in Python's names. */
  settings?: Record<string, unknown>;
  /** More of the TypeScript side's own. */
  own?: GivenSettings;
  /** The record of a task as it lies there; undefined when there is none. */
  raw(taskId: string, prefix?: string): Promise<Buffer | undefined>;
  stop(): Promise<void>;
}

/** A kind of place. */
export interface ResultStoreKind {
  name: string;
  /** What is missing here; undefined where it can be had. */
  lacks: string | undefined;
  /** Whether Celery compresses what it stores there. */
  compression: boolean;
  start(): Promise<ResultStore>;
}

/** The key-value stores that results can be kept in. */
export function resultStoreKinds(): ResultStoreKind[] {
  return [{ name: "a folder", lacks: undefined, compression: true, start: folderStore }];
}

async function folderStore(): Promise<ResultStore> {
  const folder = mkdtempSync(join(tmpdir(), "celeriac-results-"));
  return {
    backend: `file://${folder}`,
    raw: (taskId, prefix = "") => readFile(join(folder, `${prefix}celery-task-meta-${taskId}`)).catch(() => undefined),
    stop: async () => rmSync(folder, { recursive: true, force: true }),
  };
}
