import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { madeVenv } from "./venv.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Interpreters by Celery version, oldest first; empty where there is no Python. */
    pythons: Record<string, string>;
    /** Versions that were asked for and that no Python here runs. */
    missingPythons: string[];
    /** Interpreter with the Celery that the project is measured by; empty where there is no Python. */
    python: string;
  }
}

/** The matrix, `interop/versions.json`. */
const versions: { reference: string; celery: Record<string, string[]> } = JSON.parse(
  readFileSync(join(import.meta.dirname, "versions.json"), "utf8"),
);

/**
 * Makes the Python environments: the reference version, or those of CELERIAC_INTEROP_VERSIONS (a comma list, or
 * `all`).
 */
export default async function setup(project: TestProject): Promise<void> {
  const asked = process.env.CELERIAC_INTEROP_VERSIONS || versions.reference;
  const wanted = asked === "all" ? Object.keys(versions.celery) : asked.split(",");
  const pythons: Record<string, string> = {};
  const missing: string[] = [];
  for (const version of new Set([...wanted, versions.reference])) {
    const python = await madeVenv(version);
    if (python) pythons[version] = python;
    else missing.push(version);
  }
  project.provide("python", pythons[versions.reference] ?? "");
  project.provide("pythons", pythons);
  project.provide("missingPythons", missing);
}
