import type { ConnectionOptions } from "node:tls";
import { credentials, type Options, type SocketOptions } from "amqplib";
import { type AmqpUrl, readAmqpUrl } from "../../../protocol/transport/amqp.ts";
import { ImproperlyConfigured } from "../../app/errors.ts";
import { maskedUrl } from "../../masked-url.ts";
import { tlsOptions } from "../../tls.ts";
import type { BrokerOptions } from "../broker.ts";

/** How to reach one broker. */
export interface AmqpAddress {
  /** Masked. */
  readonly url: string;
  readonly virtualHost: string;
  readonly useTls: boolean;
  readonly connect: Options.Connect;
  readonly socket: SocketOptions;
  /** Milliseconds that one attempt to connect may take. */
  readonly connectTimeoutMs: number;
}

const EXAMPLES = "amqp://user:password@host:5672/virtual-host, amqps://user:password@host/virtual-host";

/** Parameters of a URL besides the `ssl_…` ones. The last one is what other clients call `connect_timeout`. */
const PARAMETERS = ["heartbeat", "login_method", "connect_timeout", "connection_timeout"];

/**
 * The addresses that the URLs mean. Mirrors `kombu/connection.py` and `kombu/transport/pyamqp.py establish_connection`.
 * @throws ImproperlyConfigured when a URL or an option cannot be understood
 */
export function amqpAddresses(options: BrokerOptions): AmqpAddress[] {
  return options.urls.map((url) => amqpAddress(url, options));
}

function amqpAddress(url: string, options: BrokerOptions): AmqpAddress {
  const parts = parse(url);
  const { query } = parts;
  const unknown = Object.keys(query).find((name) => !PARAMETERS.includes(name) && !name.startsWith("ssl_"));
  if (unknown !== undefined) {
    throw new ImproperlyConfigured(
      `${maskedUrl(url)}: the parameter ${unknown} is none of ${PARAMETERS.join(", ")} and ssl_…`,
    );
  }
  const hasTlsParameters = Object.keys(query).some((name) => name.startsWith("ssl_"));
  const useTls = parts.scheme === "amqps" || options.useSsl !== false || hasTlsParameters;
  const seconds = (text: string | undefined, fallback: number): number => readSeconds(text, fallback, url);
  const { connect_timeout: connectTimeout = query.connection_timeout } = query;
  return {
    url: maskedUrl(url),
    virtualHost: parts.virtualHost,
    useTls,
    connect: {
      protocol: useTls ? "amqps" : "amqp",
      // The resolver may answer with an IPv6 address that nobody listens on: kombu goes round it as well.
      hostname: parts.hostname === "localhost" ? "127.0.0.1" : parts.hostname,
      port: parts.port ?? (useTls ? 5671 : 5672),
      vhost: encodeURIComponent(parts.virtualHost),
      heartbeat: Math.ceil(seconds(query.heartbeat, options.heartbeat)),
    },
    socket: {
      noDelay: true,
      credentials: login(query.login_method ?? options.transportOptions.login_method, parts, url),
      clientProperties: clientProperties(options),
      ...(useTls && tls(parts, options)),
    } as SocketOptions,
    connectTimeoutMs: seconds(connectTimeout, options.connectionTimeout) * 1000,
  };
}

function parse(url: string): AmqpUrl {
  try {
    return readAmqpUrl(url);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new ImproperlyConfigured(`${maskedUrl(url)} is no AMQP URL: ${reason}. They look like ${EXAMPLES}`, {
      cause,
    });
  }
}

function readSeconds(text: string | undefined, fallback: number, url: string): number {
  const seconds = text === undefined ? fallback : Number(text);
  if (text !== "" && seconds >= 0 && seconds < 65536) return seconds;
  throw new ImproperlyConfigured(`${maskedUrl(url)}: ${JSON.stringify(text ?? fallback)} is no number of seconds`);
}

function login(
  method: unknown,
  { username, password }: AmqpUrl,
  url: string,
): NonNullable<SocketOptions["credentials"]> {
  switch (String(method ?? "PLAIN").toUpperCase()) {
    case "PLAIN":
      return credentials.plain(username, password);
    case "AMQPLAIN":
      return credentials.amqplain(username, password);
    case "EXTERNAL":
      return credentials.external();
    default:
      throw new ImproperlyConfigured(
        `${maskedUrl(url)}: login_method cannot be ${JSON.stringify(method)}: it is PLAIN, AMQPLAIN or EXTERNAL`,
      );
  }
}

function clientProperties({ clientName, transportOptions }: BrokerOptions): Record<string, unknown> {
  const given = transportOptions.client_properties;
  return { connection_name: clientName, ...(typeof given === "object" && given) };
}

function tls({ hostname, query }: AmqpUrl, { useSsl }: BrokerOptions): ConnectionOptions {
  const given = { ...(typeof useSsl === "object" && useSsl), ...query };
  return { ...(/^[\d.]+$|:/.test(hostname) ? {} : { servername: hostname }), ...tlsOptions(given) };
}

/**
 * What went wrong with an attempt to connect, and what to do about it.
 * @param error the driver's
 */
export function connectFailure(
  { connect, virtualHost, useTls }: AmqpAddress,
  error: Error & { code?: unknown },
): string {
  const { message, code } = error;
  if (/ACCESS_REFUSED|ACCESS-REFUSED/.test(message)) {
    return "ACCESS_REFUSED: the broker does not accept this user and password, or this login method";
  }
  // The driver does not say with what text the broker closed the connection.
  if (/Expected ConnectionOpenOk; got <ConnectionClose/.test(message)) {
    return `the virtual host ${JSON.stringify(virtualHost)} does not exist, or this user may not use it`;
  }
  if (/closed abruptly|ECONNRESET|frame/i.test(message) && !useTls) {
    return `${connect.hostname}:${connect.port} does not answer as a broker does: it speaks no AMQP, or wants TLS (amqps://)`;
  }
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "EPROTO") {
    return `${connect.hostname}:${connect.port} speaks no TLS: use amqp://, or the port that has TLS (5671)`;
  }
  if (useTls && /certificate|altnames/i.test(message)) {
    return `TLS: ${message}: give the authority's certificate as brokerUseSsl { ca_certs: "…" } if this server is to be trusted`;
  }
  return message || String(code ?? error.name);
}
