import type { ConnectionOptions } from "node:tls";
import type { PoolConfig } from "pg";
import { ImproperlyConfigured } from "../../app/errors.ts";
import { tlsOptions } from "../../tls.ts";
import type { BackendOptions } from "../backend.ts";
import { databaseUrl } from "./database-url.ts";
import type { EngineOptions } from "./engine-options.ts";

/**
 * How to connect, from the URL, its parameters and `connect_args`, in libpq's words (which psycopg takes).
 * @throws ImproperlyConfigured
 */
export function postgresOptions(options: BackendOptions, engine: EngineOptions): PoolConfig {
  const url = databaseUrl(options.url);
  const given: Record<string, unknown> = { ...url.query, ...engine.connectArgs };
  const timeout = Number(given.connect_timeout ?? engine.timeout ?? options.connectionTimeout);
  return {
    ...defined({
      user: text(given.user) ?? url.user,
      password: text(given.password) ?? url.password,
      host: text(given.host) ?? url.host,
      port: given.port === undefined ? url.port : Number(given.port),
      database: text(given.dbname) ?? url.database,
      options: text(given.options),
    }),
    application_name: text(given.application_name) ?? options.clientName,
    ssl: ssl(given),
    keepAlive: true,
    connectionTimeoutMillis: timeout * 1000,
    max: engine.connections,
    min: engine.idle,
    maxLifetimeSeconds: engine.recycle ?? 0,
    ...(options.database.shortLivedSessions && { maxUses: 1 }),
  };
}

/**
 * libpq's `sslmode`. `require` encrypts and checks nothing unless there is an `sslrootcert`; `prefer` and `allow`,
 * which would try without and with, are taken as `disable`: the driver has no second try.
 */
function ssl(given: Readonly<Record<string, unknown>>): ConnectionOptions | false {
  const mode = text(given.sslmode) ?? "prefer";
  if (mode === "disable" || mode === "allow" || mode === "prefer") return false;
  if (mode !== "require" && mode !== "verify-ca" && mode !== "verify-full") {
    throw new ImproperlyConfigured(
      `sslmode cannot be ${JSON.stringify(mode)}: it is one of disable, allow, prefer, require, verify-ca, verify-full`,
    );
  }
  const { sslrootcert, sslcert, sslkey, sslpassword } = given;
  return tlsOptions({
    ca_certs: sslrootcert,
    certfile: sslcert,
    keyfile: sslkey,
    ssl_password: sslpassword,
    cert_reqs: mode === "require" && sslrootcert === undefined ? "none" : "required",
    check_hostname: mode === "verify-full",
  });
}

function text(value: unknown): string | undefined {
  return value === undefined || value === null || value === "" ? undefined : String(value);
}

/** The driver takes a key that is there for one that was given. */
function defined<T extends object>(object: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
