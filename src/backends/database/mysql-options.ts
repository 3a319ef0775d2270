import type { PoolOptions, SslOptions } from "mysql2/promise";
import { isMapping } from "../../../protocol/message/headers.ts";
import { tlsOptions } from "../../tls.ts";
import type { BackendOptions } from "../backend.ts";
import { databaseUrl } from "./database-url.ts";
import type { EngineOptions } from "./engine-options.ts";

/**
 * How to connect, from the URL, its parameters and `connect_args`, in PyMySQL's words.
 * @throws ImproperlyConfigured
 */
export function mysqlOptions(options: BackendOptions, engine: EngineOptions): PoolOptions {
  const url = databaseUrl(options.url);
  const given: Record<string, unknown> = { ...url.query, ...engine.connectArgs };
  const timeout = Number(given.connect_timeout ?? engine.timeout ?? options.connectionTimeout);
  const socket = given.unix_socket;
  const tls = ssl(given);
  return {
    ...(socket ? { socketPath: String(socket) } : { host: url.host ?? "localhost", port: url.port ?? 3306 }),
    ...(url.user && { user: url.user }),
    ...(url.password && { password: url.password }),
    ...(url.database && { database: url.database }),
    ...(tls && { ssl: tls }),
    charset: String(given.charset ?? "utf8mb4"),
    connectTimeout: timeout * 1000,
    connectionLimit: engine.connections,
    maxIdle: options.database.shortLivedSessions ? 0 : engine.idle,
    // As text: its own reading takes them for local time.
    dateStrings: true,
    supportBigNumbers: true,
  };
}

/** `ssl`, a dict, or the `ssl_…` options; TLS is used when any is given. Who answers is checked when that is asked for. */
function ssl(given: Readonly<Record<string, unknown>>): SslOptions | null {
  const { ssl_ca, ssl_cert, ssl_key, ssl_verify_cert, ssl_verify_identity, ssl_key_password, ssl_disabled } = given;
  const dict = isMapping(given.ssl) ? given.ssl : {};
  const ca = ssl_ca ?? dict.ca;
  const wanted = [given.ssl, ca, ssl_cert, ssl_verify_cert, ssl_verify_identity].some(isTrue);
  if (!wanted || isTrue(ssl_disabled)) return null;
  const verifyIdentity = isTrue(ssl_verify_identity ?? dict.check_hostname);
  const options = tlsOptions({
    ca_certs: ca,
    certfile: ssl_cert ?? dict.cert,
    keyfile: ssl_key ?? dict.key,
    ssl_password: ssl_key_password,
    cert_reqs: ca || isTrue(ssl_verify_cert) || verifyIdentity ? "required" : "none",
  });
  return { ...(options as SslOptions), verifyIdentity };
}

/** A URL's parameters are text. */
function isTrue(value: unknown): boolean {
  return Boolean(value) && !["0", "false", "no", "off"].includes(String(value).toLowerCase());
}
