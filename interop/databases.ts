import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { mariadbProgram, startMariadb } from "../test/servers/mariadb.ts";
import { postgresFolder, startPostgres } from "../test/servers/postgres.ts";
import { hasSqlite } from "../test/support/sqlite.ts";

/** A database with nothing in it, as each language is told of it. */
export interface FreshDatabase {
  typescript: string;
  python: string;
}

/** A server that makes databases, or a folder. */
export interface DatabaseServer {
  fresh(): Promise<FreshDatabase>;
  stop(): Promise<void>;
}

/** A kind of database. */
export interface DatabaseKind {
  name: string;
  /** What is missing here; undefined where it can be had. */
  lacks: string | undefined;
  start(): Promise<DatabaseServer>;
}

/** The kinds that results can be kept in. */
export async function databaseKinds(): Promise<DatabaseKind[]> {
  const sqlite = await hasSqlite();
  return [
    { name: "PostgreSQL", lacks: postgresFolder() ? undefined : "postgresql", start: postgres },
    { name: "MariaDB", lacks: mariadbProgram() ? undefined : "mariadb-server", start: mariadb },
    {
      name: "SQLite",
      lacks: sqlite ? undefined : "Node.js 22.13 or better-sqlite3",
      start: async () => sqliteFolder(),
    },
  ];
}

async function postgres(): Promise<DatabaseServer> {
  const server = await startPostgres();
  return {
    async fresh() {
      const name = freshName();
      const client = new pg.Client(server.url);
      await client.connect();
      await client.query(`CREATE DATABASE ${name}`);
      await client.end();
      const url = server.url.replace(/\/postgres$/, `/${name}`);
      // SQLAlchemy from 2.1 on takes `postgresql` alone for another driver.
      return { typescript: `db+${url}`, python: `db+${url.replace("postgresql:", "postgresql+psycopg2:")}` };
    },
    stop: () => server.stop(),
  };
}

async function mariadb(): Promise<DatabaseServer> {
  const server = await startMariadb();
  const { createConnection } = await import("mysql2/promise");
  return {
    async fresh() {
      const name = freshName();
      const connection = await createConnection(server.url);
      await connection.query(`CREATE DATABASE ${name}`);
      await connection.end();
      const url = server.url.replace(/\/celery$/, `/${name}`);
      return { typescript: `db+${url}`, python: `db+${url.replace("mysql:", "mysql+pymysql:")}` };
    },
    stop: () => server.stop(),
  };
}

function sqliteFolder(): DatabaseServer {
  const folder = mkdtempSync(join(tmpdir(), "celeriac-sqlite-"));
  return {
    async fresh() {
      const url = `db+sqlite:///${folder}/${freshName()}.db`;
      return { typescript: url, python: url };
    },
    stop: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

function freshName(): string {
  return `fresh_${randomUUID().slice(0, 8)}`;
}
