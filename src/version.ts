import { readFileSync } from "node:fs";
import { type } from "node:os";

/** This package's version. */
export const VERSION: string = JSON.parse(readFileSync(new URL(packageFile(), import.meta.url), "utf8")).version;

/** What a worker says of its software in its events. */
export const SOFTWARE_INFO: Readonly<Record<string, string>> = {
  sw_ident: "celeriac",
  sw_ver: VERSION,
  sw_sys: type(),
};

/** From `src/` when the sources run, from `dist/src/` when the package does. */
function packageFile(): string {
  return import.meta.url.includes("/dist/src/") ? "../../package.json" : "../package.json";
}
