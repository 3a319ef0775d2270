import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { Project } from "../../test/support/project.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Node's own option on Node 22.18 and newer, which older ones have of us. */
const STRIP_TYPES = ["--import", "./node_modules/celeriac/dist/src/cli/register-typescript.js"];

/** A folder of `examples/`. */
export function exampleFolder(name: string): string {
  return join(ROOT, "examples", name);
}

/** An example as somebody copies it, with the packages that it needs. */
export class Example extends Project {
  /** @param packages besides celeriac */
  constructor(name: string, ...packages: string[]) {
    super();
    cpSync(exampleFolder(name), this.folder, { recursive: true });
    for (const name of packages) {
      const link = join(this.folder, "node_modules", name);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(join(ROOT, "node_modules", name), link);
    }
  }

  /** Starts one of its modules. */
  module(file: string, env: NodeJS.ProcessEnv): ReturnType<Project["run"]> {
    return this.run([...STRIP_TYPES, file], env);
  }
}
