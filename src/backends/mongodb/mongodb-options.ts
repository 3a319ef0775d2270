import type { MongoClientOptions } from "mongodb";
import { isMapping } from "../../../protocol/message/headers.ts";
import { ImproperlyConfigured } from "../../app/errors.ts";
import type { BackendOptions } from "../backend.ts";

/** Where results are, and how to get there. */
export interface MongodbOptions {
  url: string;
  database: string;
  taskmetaCollection: string;
  groupmetaCollection: string;
  client: MongoClientOptions;
}

/**
 * Reads the URL and `mongodb_backend_settings`, which come before it. What is no setting of Celery's is an option of
 * the driver: they have the same names in both languages. Mirrors `celery/backends/mongodb.py MongoBackend.__init__`.
 *
 * @throws ImproperlyConfigured for a setting of the wrong kind
 */
export function mongodbOptions({ url, mongodb, connectionTimeout, clientName }: BackendOptions): MongodbOptions {
  const {
    host,
    port,
    mongo_host,
    user,
    password,
    database,
    taskmeta_collection,
    groupmeta_collection,
    options,
    ...more
  } = mongodb;
  if (options !== undefined && !isMapping(options)) {
    throw new ImproperlyConfigured("mongodb_backend_settings.options has to be an object");
  }
  const bare = url.replace(/^mongodb:\/\/$/, "mongodb://localhost");
  const hosts = mongo_host ?? (host === undefined && port === undefined ? undefined : `${host ?? "localhost"}`);
  return {
    url: hosts === undefined ? bare : address(hosts, port),
    database: text(database) ?? databaseOf(bare) ?? "celery",
    taskmetaCollection: text(taskmeta_collection) ?? "celery_taskmeta",
    groupmetaCollection: text(groupmeta_collection) ?? "celery_groupmeta",
    client: {
      maxPoolSize: 10,
      appName: clientName,
      serverSelectionTimeoutMS: connectionTimeout * 1000,
      connectTimeoutMS: connectionTimeout * 1000,
      ...(user !== undefined && { auth: { username: String(user), password: String(password ?? "") } }),
      ...options,
      ...more,
    },
  };
}

function databaseOf(url: string): string | undefined {
  const name = /^[^:]+:\/\/[^/]*\/([^?]+)/.exec(url)?.[1];
  return name && decodeURIComponent(name);
}

function address(hosts: unknown, port: unknown): string {
  const all = (Array.isArray(hosts) ? hosts : [hosts]).map(String);
  if (all[0]?.includes("://")) return all[0];
  const withPort = all.map((host) => (/:\d+$/.test(host) ? host : `${host}:${port ?? 27017}`));
  return `mongodb://${withPort.join(",")}`;
}

function text(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string" && value) return value;
  throw new ImproperlyConfigured(`mongodb_backend_settings: ${JSON.stringify(value)} is no name`);
}
