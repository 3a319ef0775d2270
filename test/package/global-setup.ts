import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { succeed } from "../support/command.ts";
import { copyOfTree, ROOT } from "../support/tree.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** The package as npm would publish it. */
    tarball: string;
    /** An otherwise empty project in which the tarball is installed. */
    installed: string;
  }
}

/** Builds and packs a copy of the project, so that nobody else's build comes between, and installs the tarball. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const tree = await copyOfTree();
  const installed = await mkdtemp(join(tmpdir(), "celeriac-installed-"));
  const remove = async (): Promise<void> => {
    for (const folder of [tree, installed]) await rm(folder, { recursive: true, force: true });
  };
  try {
    await succeed("npm", ["pack"], { cwd: tree });
    const name = (await readdir(tree)).find((file) => file.endsWith(".tgz"));
    if (!name) throw new Error("npm pack left no tarball");
    const tarball = join(tree, name);
    await writeFile(join(installed, "package.json"), JSON.stringify({ private: true, type: "module" }));
    const quick = ["--prefer-offline", "--no-audit", "--no-fund"];
    await succeed("npm", ["install", ...quick, tarball, `@types/node@${await versionOf("@types/node")}`], {
      cwd: installed,
    });
    project.provide("tarball", tarball);
    project.provide("installed", installed);
  } catch (error) {
    await remove();
    throw error;
  }
  return remove;
}

/** The version that is installed here, which npm has at hand. */
async function versionOf(name: string): Promise<string> {
  return JSON.parse(await readFile(join(ROOT, "node_modules", name, "package.json"), "utf8")).version;
}
