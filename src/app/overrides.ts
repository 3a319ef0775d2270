import type { GivenSettings } from "./app.ts";

/**
 * What the command line says, which beats what the code says. It is kept by the process, not by this module: the
 * application that `-A` names may come with a copy of this package that is not the command's.
 */
const KEY = Symbol.for("celeriac.overrides");

type Holder = { [KEY]?: GivenSettings };

/** Settings for every application that is made from now on in this process. */
export function overrideSettings(overrides: GivenSettings): void {
  (globalThis as Holder)[KEY] = overrides;
}

/** @see overrideSettings */
export function overridingSettings(): GivenSettings {
  return (globalThis as Holder)[KEY] ?? {};
}
