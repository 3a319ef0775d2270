import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import picomatch from "picomatch";
import { SecurityError } from "../app/errors.ts";
import { Certificate } from "./certificate.ts";

/**
 * The certificates of all whose messages are accepted, by id. Mirrors `celery/security/certificate.py FSCertStore`.
 *
 * @param path a folder, all of whose files are certificates, or a pattern: `/etc/celery/certs/*.pem`
 * @throws SecurityError when one cannot be used, has expired, or is there twice
 */
export function readCertStore(path: string): ReadonlyMap<string, Certificate> {
  const store = new Map<string, Certificate>();
  for (const file of filesOf(path)) {
    const certificate = new Certificate(readFileSync(file));
    if (certificate.hasExpired()) throw new SecurityError(`Expired certificate: ${JSON.stringify(certificate.id)}`);
    if (store.has(certificate.id)) throw new SecurityError(`Duplicate certificate: ${JSON.stringify(certificate.id)}`);
    store.set(certificate.id, certificate);
  }
  return store;
}

function filesOf(path: string): string[] {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return isFolder ? matching(join(path, "*")) : matching(path);
}

/** The files that a pattern names, wherever in it the `*` is. Names with a dot in front want it in the pattern too. */
function matching(pattern: string): string[] {
  if (!/[*?[]/.test(pattern)) return statSync(pattern, { throwIfNoEntry: false }) ? [pattern] : [];
  const folder = dirname(pattern);
  const isMatch = picomatch(pattern.slice(folder === "/" ? 1 : folder.length + 1), { dot: false });
  return matching(folder)
    .filter((found) => statSync(found).isDirectory())
    .flatMap((found) =>
      readdirSync(found)
        .filter((name) => isMatch(name))
        .map((name) => join(found, name)),
    )
    .sort();
}
