import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    /** The packed package, as npm would fetch it. */
    tarball: string;
  }
}

/** Builds and packs the package once, for all tests that use it as a user does. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "celeriac-packed-"));
  const pack = ["pack", "--silent", "--foreground-scripts=false", "--json", "--pack-destination", folder];
  const { stdout } = await promisify(execFile)("npm", pack, { cwd: join(import.meta.dirname, "..") });
  project.provide("tarball", join(folder, JSON.parse(stdout)[0].filename));
  return () => rm(folder, { recursive: true, force: true });
}
