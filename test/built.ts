import { copyFile, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { succeed } from "./support/command.ts";
import { ROOT } from "./support/tree.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** The package as it is installed, with its packages. */
    built: string;
  }
}

/** Builds the package once, for tests that run its command. Its types are checked elsewhere, which takes longer. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const built = await realpath(await mkdtemp(join(tmpdir(), "celeriac-built-")));
  const config = {
    extends: join(ROOT, "tsconfig.build.json"),
    compilerOptions: { rootDir: ROOT, outDir: join(built, "dist"), noCheck: true, declaration: false },
    include: [join(ROOT, "protocol"), join(ROOT, "src")],
    references: [],
  };
  await copyFile(join(ROOT, "package.json"), join(built, "package.json"));
  await symlink(await realpath(join(ROOT, "node_modules")), join(built, "node_modules"));
  await writeFile(join(built, "tsconfig.json"), JSON.stringify(config));
  await succeed("node", [join(ROOT, "node_modules/typescript/bin/tsc"), "--project", built], { cwd: ROOT });
  project.provide("built", built);
  return () => rm(built, { recursive: true, force: true });
}
