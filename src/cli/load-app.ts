import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import picomatch from "picomatch";
import type { Celery } from "../index.ts";
import { CommandFailure, isOurs, UsageError } from "./errors.ts";
import { allowTypeScript } from "./typescript.ts";

const EXTENSIONS = [".js", ".mjs", ".ts", ".mts"];

/**
 * The application that `-A` names: a module file or a bare specifier, as seen from the working directory, with the
 * name of the export behind a colon where there are several. Without one: `app`, `default`, or the only application.
 * @param appName the application's own name, which tells it from others in the module
 * @throws UsageError that says what was looked for
 */
export async function loadApp(name: string, appName?: string): Promise<Celery> {
  const [, specifier = name, exported] = /^((?:file:)?.*?)(?::([A-Za-z_$][\w$]*))?$/.exec(name) ?? [];
  const exports = await importModule(specifier, `-A ${name}`);
  if (exported !== undefined) {
    const found = exports[exported];
    if (isApp(found)) return found;
    throw new UsageError(`-A ${name}: ${specifier} exports no application called ${exported} (${exportsOf(exports)})`);
  }
  const named = (app: unknown): app is Celery => isApp(app) && (appName === undefined || app.name === appName);
  for (const candidate of [exports.app, exports.default]) if (named(candidate)) return candidate;
  const apps = [...new Set(Object.values(exports).filter(named))];
  if (apps.length === 1) return apps[0] as Celery;
  const what = apps.length === 0 ? "no application" : "more than one application; say which one behind a colon";
  throw new UsageError(`-A ${name}: the module exports ${what} (${exportsOf(exports)})`);
}

/**
 * Imports modules that are there for their side effects, as `-I` asks: one by its name, or all files that a pattern
 * matches, in the order of their names.
 * @throws UsageError that says what was looked for
 */
export async function includeModules(name: string): Promise<void> {
  const files = picomatch.scan(name).isGlob ? filesOf(name) : [name];
  for (const file of files) await importModule(file, `-I ${name}`);
}

/** @throws UsageError when there are none */
function filesOf(pattern: string): string[] {
  const { base, glob } = picomatch.scan(pattern);
  const isMatch = picomatch(glob, { ignore: ["**/node_modules/**", "**/*.d.ts", "**/*.d.mts"] });
  const all = existsSync(base || ".") ? readdirSync(base || ".", { recursive: true, encoding: "utf8" }) : [];
  const files = all.filter(
    (file) => isMatch(file.split(sep).join("/")) && EXTENSIONS.some((end) => file.endsWith(end)),
  );
  if (files.length > 0) return files.sort().map((file) => join(base, file));
  throw new UsageError(`-I ${pattern}: no file of ${EXTENSIONS.join(", ")} matches, seen from ${process.cwd()}`);
}

async function importModule(specifier: string, asked: string): Promise<Record<string, unknown>> {
  const url = locate(specifier, asked);
  if (/\.m?ts$/.test(url)) await allowTypeScript();
  try {
    return (await import(url)) as Record<string, unknown>;
  } catch (error) {
    if (isOurs(error) || isMissingModule(error)) {
      throw Object.assign(new CommandFailure(`${asked}: ${error.message}`), { stack: error.stack });
    }
    throw withoutNode(error);
  }
}

/** A module that it imports is not there; the message says which, and who wants it. */
function isMissingModule(error: unknown): error is Error {
  return /^ERR_(?:MODULE_NOT_FOUND|PACKAGE_PATH_NOT_EXPORTED)$/.test(String((error as { code?: unknown })?.code));
}

/** Of the calls that led to an error, those that are not Node's own. */
function withoutNode(error: unknown): unknown {
  if (error instanceof Error && error.stack) error.stack = error.stack.replace(/\n +at .*\bnode:internal\/.*/g, "");
  return error;
}

/** A file of that name, with or without its extension; else a package that the working directory can see. */
function locate(specifier: string, asked: string): string {
  if (specifier.startsWith("file:")) return specifier;
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
  throw new UsageError(`${asked}: there is no ${path} (${kinds}), and no package of that name to be seen from here`);
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
