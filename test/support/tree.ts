import { cp, mkdtemp, realpath, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

/** The project's own folder. */
export const ROOT = join(import.meta.dirname, "../..");

/** What is made by tools, not kept. */
const MADE = new Set([".git", ".cache", "node_modules", "dist", "coverage", "__pycache__"]);

/**
 * A copy of the project in a temporary folder, for tests that build it or put something into it. It shares the
 * installed packages; whoever asked for it removes it.
 */
export async function copyOfTree(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "celeriac-tree-")));
  await cp(ROOT, folder, { recursive: true, filter: (path) => !MADE.has(basename(path)) && !path.endsWith(".tgz") });
  await symlink(await realpath(join(ROOT, "node_modules")), join(folder, "node_modules"));
  return folder;
}
