import { COMPATIBILITIES, type Compatibility } from "../protocol/compatibility.ts";

/** The setting for a fleet whose oldest Celery has this version. */
export function compatibilityOf(version: string): Compatibility {
  const found = COMPATIBILITIES.find((known) => version.startsWith(`${known}.`));
  if (!found) throw new Error(`there is no compatibility for Celery ${version}`);
  return found;
}
