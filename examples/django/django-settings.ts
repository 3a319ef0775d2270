import { readFileSync } from "node:fs";
import type { GivenSettings } from "celeriac";

/** An entry of Django's `DATABASES`. */
interface Database {
  ENGINE: string;
  NAME: string;
  USER: string;
  PASSWORD: string;
  HOST: string;
  PORT: string | number;
}

/**
 * The settings that `export_settings.py` wrote.
 * @param namespace what Python's `config_from_object` was given
 */
export function djangoSettings(file: string, namespace = "CELERY"): GivenSettings {
  const exported = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  const prefix = `${namespace}_`;
  const own = Object.entries(exported)
    // Python's None stands for the default.
    .filter(([name, value]) => name.startsWith(prefix) && value !== null)
    .map(([name, value]) => [name.slice(prefix.length).toLowerCase(), value]);
  const { DATABASE: database } = exported as { DATABASE?: Database };
  return { ...Object.fromEntries(own), ...(database && { djangoDatabaseUrl: databaseUrl(database) }) };
}

/** Django's engines, as URLs name them. */
const SCHEMES: Readonly<Record<string, string>> = {
  "django.db.backends.postgresql": "postgresql",
  "django.db.backends.mysql": "mysql",
  "django.db.backends.sqlite3": "sqlite",
};

/** @throws Error for an engine that cannot be reached from here */
function databaseUrl({ ENGINE, NAME, USER, PASSWORD, HOST, PORT }: Database): string {
  const scheme = SCHEMES[ENGINE];
  if (!scheme) throw new Error(`results cannot be stored by Django's engine ${ENGINE}`);
  if (scheme === "sqlite") return `sqlite:///${NAME}`;
  const user = [USER, PASSWORD].filter(Boolean).map(encodeURIComponent).join(":");
  return `${scheme}://${user}${user && "@"}${HOST || "localhost"}${PORT ? `:${PORT}` : ""}/${encodeURIComponent(NAME)}`;
}
