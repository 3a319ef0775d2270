import { ImproperlyConfigured } from "../../app/errors.ts";
import type { Logger } from "../../logger.ts";
import { maskedUrl } from "../../masked-url.ts";
import type { MemcachedAddress } from "./memcached-server.ts";

/** What `cacheBackendOptions` say, as far as it has a meaning here. */
export interface CacheOptions {
  /** Milliseconds. */
  connectTimeoutMs: number;
  timeoutMs: number;
  /** In front of every key, after its server was chosen. */
  keyPrefix: string;
}

/** pymemcache's options of the same meaning, and the seconds that Celery waits unless told otherwise. */
const KNOWN = new Set(["connect_timeout", "timeout", "key_prefix"]);
const SECONDS = 5;

/** Those that are as they should be in any case, or that Celery itself takes for nothing. */
const WITHOUT_EFFECT = new Set(["default_noreply", "no_delay", "behaviors", "binary", "encoding"]);

/** @throws ImproperlyConfigured for a value that cannot be used */
export function cacheOptions(given: Readonly<Record<string, unknown>>, log: Logger): CacheOptions {
  const unknown = Object.keys(given).filter((name) => !KNOWN.has(name) && !WITHOUT_EFFECT.has(name));
  if (unknown.length > 0) log.warn({}, `These cache_backend_options have no effect in celeriac: ${unknown.join(", ")}`);
  return {
    connectTimeoutMs: milliseconds(given, "connect_timeout"),
    timeoutMs: milliseconds(given, "timeout"),
    keyPrefix: String(given.key_prefix ?? ""),
  };
}

/**
 * The servers that a URL names, `;` between them: `host:port`, `host`, `[::1]:port`, or the path of a socket.
 * Mirrors `pymemcache/client/base.py normalize_server_spec`.
 *
 * @throws ImproperlyConfigured when there is none, or one that cannot be understood
 */
export function memcachedAddresses(url: string, options: CacheOptions): MemcachedAddress[] {
  const servers = url
    .replace(/^[^:]*:\/\//, "")
    .replace(/\/+$/, "")
    .split(";")
    .filter(Boolean);
  if (servers.length === 0) throw unusable(url);
  return servers.map((server) => {
    const { connectTimeoutMs, timeoutMs } = options;
    const path = /^(?:unix:|(?=\/))(.+)$/.exec(server)?.[1];
    if (path) return { name: path, path, connectTimeoutMs, timeoutMs };
    const [, host, port] = /^(\[[^\]]+\]|[^:@/]+)(?::(\d+))?$/.exec(server) ?? [];
    if (!host) throw unusable(url);
    const bare = host.replace(/^\[|\]$/g, "");
    const number = Number(port ?? 11211);
    return { name: `${bare}:${number}`, host: bare, port: number, connectTimeoutMs, timeoutMs };
  });
}

function milliseconds(given: Readonly<Record<string, unknown>>, name: string): number {
  const value = given[name] ?? SECONDS;
  if (typeof value === "number" && value > 0) return value * 1000;
  throw new ImproperlyConfigured(`cache_backend_options.${name} has to be a number of seconds, got ${value}`);
}

function unusable(url: string): ImproperlyConfigured {
  return new ImproperlyConfigured(
    `resultBackend cannot be ${JSON.stringify(maskedUrl(url))}: memcached reads cache+memcached://host:11211;host2:11211/`,
  );
}
