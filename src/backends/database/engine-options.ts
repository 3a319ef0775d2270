import { isMapping } from "../../../protocol/message/headers.ts";
import { ImproperlyConfigured } from "../../app/errors.ts";
import type { Logger } from "../../logger.ts";

/** What `database_engine_options` say, in the terms of the drivers' pools. */
export interface EngineOptions {
  /** Connections at most: `pool_size` (5) and `max_overflow` (10) together. */
  connections: number;
  /** Connections that stay open while nothing is to do: `pool_size`. */
  idle: number;
  /** Seconds after which a connection is replaced: `pool_recycle`; null for never. PostgreSQL only. */
  recycle: number | null;
  /** Seconds to wait for a connection: `pool_timeout`; null for the backend's connection timeout. */
  timeout: number | null;
  /** `connect_args`: options of the driver, in the words of Python's. */
  connectArgs: Readonly<Record<string, unknown>>;
}

/** Those that have no effect: a broken connection is noticed when it is used, and the call made again on another. */
const WITHOUT_EFFECT = new Set(["pool_pre_ping", "pool_use_lifo", "echo", "echo_pool", "future"]);
const KNOWN = new Set(["pool_size", "max_overflow", "pool_timeout", "pool_recycle", "connect_args", ...WITHOUT_EFFECT]);

/**
 * Reads SQLAlchemy's engine options. Others than those that {@link EngineOptions} names are said to have no effect.
 * @throws ImproperlyConfigured for a value that cannot be used
 */
export function engineOptions(given: Readonly<Record<string, unknown>>, log: Logger): EngineOptions {
  const unknown = Object.keys(given).filter((name) => !KNOWN.has(name));
  if (unknown.length > 0)
    log.warn({}, `These database_engine_options have no effect in celeriac: ${unknown.join(", ")}`);
  const size = count(given, "pool_size", 5);
  const overflow = count(given, "max_overflow", 10);
  const recycle = count(given, "pool_recycle", 3600);
  const connectArgs = given.connect_args ?? {};
  if (!isMapping(connectArgs))
    throw new ImproperlyConfigured("database_engine_options.connect_args has to be an object");
  // 0 and -1 are SQLAlchemy's words for no limit.
  const unlimited = size <= 0 || overflow < 0;
  return {
    connections: unlimited ? UNLIMITED : size + overflow,
    idle: size <= 0 ? UNLIMITED : size,
    recycle: recycle > 0 ? recycle : null,
    timeout: given.pool_timeout === undefined ? null : count(given, "pool_timeout", 30),
    connectArgs,
  };
}

const UNLIMITED = 1_000_000;

function count(given: Readonly<Record<string, unknown>>, name: string, fallback: number): number {
  const value = given[name] ?? fallback;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new ImproperlyConfigured(`database_engine_options.${name} has to be a number, got ${JSON.stringify(value)}`);
}
