import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Celery } from "../index.ts";
import { UsageError } from "./errors.ts";
import { allowTypeScript } from "./typescript.ts";

const EXTENSIONS = [".js", ".mjs", ".ts", ".mts"];

/**
 * The application that `-A` names: a module file or a bare specifier, as seen from the working directory, with the
 * name of the export behind a colon where there are several. Without one: `app`, `default`, or the only application.
 * @throws UsageError that says what was looked for
 */
export async function loadApp(name: string): Promise<Celery> {
  const [, specifier = name, exported] = /^(.*?)(?::([A-Za-z_$][\w$]*))?$/.exec(name) ?? [];
  const exports = await importModule(specifier, name);
  if (exported !== undefined) {
    const found = exports[exported];
    if (isApp(found)) return found;
    throw new UsageError(`-A ${name}: ${specifier} exports no application called ${exported} (${exportsOf(exports)})`);
  }
  for (const candidate of [exports.app, exports.default]) if (isApp(candidate)) return candidate;
  const apps = Object.values(exports).filter(isApp);
  if (apps.length === 1) return apps[0] as Celery;
  const what = apps.length === 0 ? "no application" : "more than one application; say which one behind a colon";
  throw new UsageError(`-A ${name}: the module exports ${what} (${exportsOf(exports)})`);
}

/** Imports a module that is there for its side effects, as `-I` asks. */
export async function includeModule(name: string): Promise<void> {
  await importModule(name, name);
}

async function importModule(specifier: string, asked: string): Promise<Record<string, unknown>> {
  const url = locate(specifier, asked);
  if (/\.m?ts$/.test(url)) await allowTypeScript();
  return (await import(url)) as Record<string, unknown>;
}

/** A file of that name, with or without its extension; else a package that the working directory can see. */
function locate(specifier: string, asked: string): string {
  const path = resolve(specifier);
  const tried = [path, ...EXTENSIONS.map((extension) => path + extension)];
  const file = tried.find((candidate) => existsSync(candidate) && EXTENSIONS.some((end) => candidate.endsWith(end)));
  if (file) return pathToFileURL(file).href;
  if (!/^[./]/.test(specifier)) {
    try {
      return pathToFileURL(createRequire(join(process.cwd(), "noop.js")).resolve(specifier)).href;
    } catch {
      // Said below, together with the files that were looked for.
    }
  }
  const kinds = EXTENSIONS.join(", ");
  throw new UsageError(`-A ${asked}: there is no ${path} (${kinds}), and no package of that name to be seen from here`);
}

/** An application of this package or of another copy of it. */
function isApp(value: unknown): value is Celery {
  if (typeof value !== "object" || value === null) return false;
  const { name, settings, sendTask, worker } = value as Partial<Celery>;
  return (
    typeof name === "string" &&
    typeof settings === "object" &&
    typeof sendTask === "function" &&
    typeof worker === "function"
  );
}

function exportsOf(exports: Record<string, unknown>): string {
  const all = Object.keys(exports);
  return all.length === 0 ? "it exports nothing" : `it exports ${all.join(", ")}`;
}
