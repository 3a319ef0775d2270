import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import { ImproperlyConfigured } from "../protocol/errors.ts";

/** Python's names for what a TLS connection needs, as `broker_use_ssl` and URL parameters give them. */
const CA = ["ssl_ca_certs", "ca_certs"];
const CERTIFICATE = ["ssl_certfile", "certfile"];
const KEY = ["ssl_keyfile", "keyfile"];
const REQUIREMENT = ["ssl_cert_reqs", "cert_reqs"];
const CHECK_HOSTNAME = ["ssl_check_hostname", "check_hostname"];

/**
 * TLS options from Python's names. The server's certificate and name are checked unless that is turned off.
 *
 * @param given `broker_use_ssl`, `redis_backend_use_ssl`, or the `ssl_…` parameters of a URL
 * @throws ImproperlyConfigured when a file cannot be read or a value is none of the allowed
 */
export function tlsOptions(given: Readonly<Record<string, unknown>>): ConnectionOptions {
  const verify = isVerifying(pick(given, REQUIREMENT));
  const checkName = String(pick(given, CHECK_HOSTNAME) ?? "true").toLowerCase() !== "false";
  return {
    rejectUnauthorized: verify,
    ...file("ca", pick(given, CA)),
    ...file("cert", pick(given, CERTIFICATE)),
    ...file("key", pick(given, KEY)),
    ...(typeof given.ssl_password === "string" && { passphrase: given.ssl_password }),
    ...(typeof given.server_hostname === "string" && { servername: given.server_hostname }),
    ...(!(verify && checkName) && { checkServerIdentity: () => undefined }),
  };
}

function pick(given: Readonly<Record<string, unknown>>, names: readonly string[]): unknown {
  return names.map((name) => given[name]).find((value) => value !== undefined && value !== null);
}

function isVerifying(requirement: unknown): boolean {
  switch (typeof requirement === "string" ? requirement.toLowerCase() : requirement) {
    case undefined:
    case 2:
    case "2":
    case "required":
    case "cert_required":
      return true;
    case 1:
    case "1":
    case "optional":
    case "cert_optional":
      return true;
    case 0:
    case "0":
    case "none":
    case "cert_none":
      return false;
    default:
      throw new ImproperlyConfigured(
        `ssl_cert_reqs cannot be ${JSON.stringify(requirement)}: it is one of CERT_REQUIRED, CERT_OPTIONAL, CERT_NONE`,
      );
  }
}

function file(name: "ca" | "cert" | "key", path: unknown): Partial<ConnectionOptions> {
  if (path === undefined) return {};
  try {
    return { [name]: readFileSync(String(path)) };
  } catch (cause) {
    throw new ImproperlyConfigured(`cannot read the TLS file ${path}: ${(cause as Error).message}`, { cause });
  }
}
