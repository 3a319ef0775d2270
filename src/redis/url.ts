import type { RedisOptions } from "ioredis";
import { ImproperlyConfigured } from "../../protocol/errors.ts";
import { maskedUrl } from "../masked-url.ts";
import { tlsOptions } from "../tls.ts";

/** How to reach one Redis, or the Redis that a set of sentinels names. */
export interface RedisAddress {
  /** Masked. */
  url: string;
  db: number;
  options: RedisOptions;
}

/** What the settings say beside the URL. */
export interface RedisUrlSettings {
  useSsl: boolean | Readonly<Record<string, unknown>>;
  transportOptions: Readonly<Record<string, unknown>>;
  /** For what a URL leaves open. */
  redis?: {
    readonly host: string | null;
    readonly port: number | null;
    readonly username: string | null;
    readonly password: string | null;
  };
}

const EXAMPLES =
  "redis://:password@host:6379/0, rediss://host/0, redis+socket:///path/to/socket, sentinel://host:26379";
const SLASH = "In a password, / is written %2F.";

/**
 * The addresses that the URLs of a broker or backend mean: one each, but sentinels together are one.
 * Mirrors `kombu/transport/redis.py _connparams` and `celery/backends/redis.py _params_from_url`.
 *
 * @throws ImproperlyConfigured when a URL cannot be understood
 */
export function redisAddresses(urls: readonly string[], settings: RedisUrlSettings): RedisAddress[] {
  const sentinels = urls.filter((url) => url.startsWith("sentinel://"));
  const others = urls.filter((url) => !url.startsWith("sentinel://"));
  const addresses = others.map((url) => singleAddress(url, settings));
  return sentinels.length > 0 ? [...addresses, sentinelAddress(sentinels, settings)] : addresses;
}

function singleAddress(url: string, settings: RedisUrlSettings): RedisAddress {
  if (/^(?:redis\+socket|unix):/.test(url)) return socketAddress(url, settings);
  const parsed = parse(url);
  const query = Object.fromEntries(parsed.searchParams);
  const useTls = parsed.protocol === "rediss:" || settings.useSsl !== false;
  if (!useTls && Object.keys(query).some((name) => /^ssl_(?:ca_certs|certfile|keyfile|cert_reqs)$/.test(name))) {
    throw new ImproperlyConfigured(
      `${maskedUrl(url)} has TLS parameters but is a redis:// URL: a TLS connection needs the scheme rediss://`,
    );
  }
  const db = databaseNumber(parsed.pathname.slice(1) || query.virtual_host, url);
  return {
    url: maskedUrl(url),
    db,
    options: {
      host: decodeURIComponent(parsed.hostname.replace(/^\[|\]$/g, "")) || settings.redis?.host || "127.0.0.1",
      port: Number(parsed.port || settings.redis?.port || 6379),
      db,
      ...credentials(parsed, settings),
      ...(useTls && { tls: tls(query, settings) }),
    },
  };
}

function socketAddress(url: string, settings: RedisUrlSettings): RedisAddress {
  const parsed = parse(url.replace(/^(?:redis\+socket|unix):\/\/([^@/]*@)?\//, "redis://$1localhost/"));
  const db = databaseNumber(parsed.searchParams.get("virtual_host") ?? parsed.searchParams.get("db") ?? undefined, url);
  if (parsed.pathname.length < 2) throw new ImproperlyConfigured(`${maskedUrl(url)} names no socket: ${EXAMPLES}`);
  const useTls = settings.useSsl !== false && { tls: tls({}, settings) };
  return {
    url: maskedUrl(url),
    db,
    options: { path: decodeURIComponent(parsed.pathname), db, ...credentials(parsed, settings), ...useTls },
  };
}

function sentinelAddress(urls: readonly string[], settings: RedisUrlSettings): RedisAddress {
  const name = settings.transportOptions.master_name;
  if (typeof name !== "string" || name === "") {
    throw new ImproperlyConfigured(
      "sentinel:// needs the name of the master: set brokerTransportOptions (for results resultBackendTransportOptions) to { master_name: … }",
    );
  }
  const parsed = urls.map((url) => parse(url.replace(/^sentinel:/, "redis:")));
  const withDb = parsed.find((url) => url.pathname.length > 1);
  const db = databaseNumber(withDb?.pathname.slice(1), urls.join(";"));
  const kwargs = (settings.transportOptions.sentinel_kwargs ?? {}) as Record<string, unknown>;
  const useTls = settings.useSsl !== false;
  return {
    url: maskedUrl(urls.join(";")),
    db,
    options: {
      sentinels: parsed.map((url) => ({ host: url.hostname || "127.0.0.1", port: Number(url.port || 26379) })),
      name,
      db,
      ...credentials(parsed[0] as URL, settings),
      ...(typeof kwargs.password === "string" && { sentinelPassword: kwargs.password }),
      ...(typeof kwargs.username === "string" && { sentinelUsername: kwargs.username }),
      ...(kwargs.ssl === true && { enableTLSForSentinelMode: true, sentinelTLS: tlsOptions(kwargs) }),
      ...(useTls && { tls: tls({}, settings) }),
      sentinelRetryStrategy: () => null,
    },
  };
}

function tls(query: Record<string, string>, { useSsl }: RedisUrlSettings): ReturnType<typeof tlsOptions> {
  return tlsOptions({ ...(typeof useSsl === "object" ? useSsl : {}), ...query });
}

function credentials(url: URL, { redis }: RedisUrlSettings): Pick<RedisOptions, "username" | "password"> {
  const username = decodeURIComponent(url.username) || redis?.username;
  const password = decodeURIComponent(url.password) || redis?.password;
  return { ...(username && { username }), ...(password && { password }) };
}

function databaseNumber(text: string | undefined, url: string): number {
  const digits = (text ?? "").replaceAll("/", "");
  if (digits === "") return 0;
  if (/^\d+$/.test(digits)) return Number(digits);
  // Behind a bare slash, what comes before an @ is the rest of a password.
  const shown = text?.includes("@") ? "" : `, not ${JSON.stringify(text)}`;
  throw new ImproperlyConfigured(`${maskedUrl(url)}: the database must be a number from 0 up${shown}. ${SLASH}`);
}

function parse(url: string): URL {
  try {
    return new URL(url);
  } catch (cause) {
    throw new ImproperlyConfigured(`${maskedUrl(url)} is no Redis URL; they look like ${EXAMPLES}. ${SLASH}`, {
      cause,
    });
  }
}
