import { ImproperlyConfigured } from "../../app/errors.ts";
import { maskedUrl } from "../../masked-url.ts";

/** The parts of a database's URL; empty parts are undefined. */
export interface DatabaseUrl {
  user: string | undefined;
  password: string | undefined;
  host: string | undefined;
  port: number | undefined;
  /** The database's name; for SQLite the file. */
  database: string | undefined;
  /** Options of the driver. Of one that is there twice, the last. */
  query: Readonly<Record<string, string>>;
}

const URL =
  /^[\w+-]+:\/\/(?:(?<user>[^:/?]*)(?::(?<password>[^@]*))?@)?(?:\[(?<ipv6>[^\]]+)\]|(?<host>[^/:?]+))?(?::(?<port>\d*))?(?:\/(?<database>[^?]*))?(?:\?(?<query>.*))?$/;

/**
 * Takes apart `db+dialect+driver://user:password@host:port/database?option=value` as SQLAlchemy does: user and
 * password are percent-encoded, the database's name is not. Mirrors `sqlalchemy/engine/url.py make_url`.
 *
 * @throws ImproperlyConfigured when it is not made like that
 */
export function databaseUrl(url: string): DatabaseUrl {
  const parts = URL.exec(url)?.groups;
  if (!parts) {
    const scheme = url.startsWith("django-db") ? "django-db" : "db";
    throw new ImproperlyConfigured(
      `resultBackend cannot be ${JSON.stringify(maskedUrl(url))}: a database reads ${scheme}+dialect://user:password@host:port/database`,
    );
  }
  return {
    user: decoded(parts.user),
    password: decoded(parts.password),
    host: parts.ipv6 ?? parts.host,
    port: parts.port ? Number(parts.port) : undefined,
    database: parts.database || undefined,
    query: Object.fromEntries(new URLSearchParams(parts.query ?? "")),
  };
}

function decoded(text: string | undefined): string | undefined {
  if (!text) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    // A password with a percent sign that stands for itself.
    return text;
  }
}
