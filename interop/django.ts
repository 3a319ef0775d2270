import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { DatabaseKind, FreshDatabase } from "./databases.ts";
import type { PythonSide } from "./python.ts";

const FOLDER = join(import.meta.dirname, "django-project");

/** A database of Django's, as each language is told of it. */
export interface DjangoDatabase {
  /** `djangoDatabaseUrl`. */
  url: string;
  /** An entry of Django's `DATABASES`, as JSON. */
  entry: string;
}

/** Kinds of databases that the project is run with. */
export const DJANGO_KINDS: ReadonlySet<DatabaseKind["name"]> = new Set(["PostgreSQL", "MariaDB", "SQLite"]);

/** How Django is told of a database. */
export function djangoDatabase({ typescript }: FreshDatabase): DjangoDatabase {
  const url = typescript.replace(/^db\+/, "");
  return { url, entry: JSON.stringify(url.startsWith("sqlite") ? sqliteEntry(url) : serverEntry(new URL(url))) };
}

/** Runs the project's migrations. @param python with Django, of `make-venv 5.7.0 django` */
export async function migrate(python: string, { entry }: DjangoDatabase): Promise<void> {
  const env = { ...process.env, DJANGO_DATABASE: entry };
  await promisify(execFile)(python, [join(FOLDER, "manage.py"), "migrate", "--verbosity", "0"], { env });
}

/** The project as a side that shares a broker and a database. */
export function djangoSide(
  python: string,
  { entry }: DjangoDatabase,
  more: Pick<PythonSide, "broker" | "queue" | "settings">,
): PythonSide {
  const app = { module: "shop.celery", folder: FOLDER };
  return { python, backend: "django-db", app, env: { DJANGO_DATABASE: entry }, ...more };
}

/** A transaction that reads before it writes, as that of a chord's counter, otherwise fails beside another. */
function sqliteEntry(url: string): object {
  const options = { transaction_mode: "IMMEDIATE", timeout: 30 };
  return { ENGINE: "django.db.backends.sqlite3", NAME: url.slice("sqlite:///".length), OPTIONS: options };
}

function serverEntry({ protocol, username, password, hostname, port, pathname }: URL): object {
  return {
    ENGINE: `django.db.backends.${protocol.slice(0, -1)}`,
    NAME: pathname.slice(1),
    USER: decodeURIComponent(username),
    PASSWORD: decodeURIComponent(password),
    HOST: hostname,
    PORT: port,
  };
}
