import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Certificates } from "../support/certificates.ts";
import { freePort } from "./free-port.ts";
import { installed } from "./program.ts";
import { type Server, ServerProcess, untilListening } from "./server.ts";

/** A private MariaDB, with the database `celery` and the user `celeriac`, whose password is `secret word`. */
export interface MariadbServer extends Server {
  readonly port: number;
  /** Where its data and socket lie. */
  readonly folder: string;
}

/** Time zones that it knows by name: Django's admin asks for them. */
const ZONES = ["UTC", "Europe/Berlin"];

const SOCKET = "mysqld.sock";

/** MariaDB's server; undefined when it is not installed. */
export function mariadbProgram(): string | undefined {
  return installed(["mariadbd", "/usr/sbin/mariadbd", "/usr/libexec/mariadbd"]);
}

/**
 * Starts a MariaDB on a free port, with data of its own.
 * @param tls what it encrypts connections with
 */
export async function startMariadb(tls?: Certificates): Promise<MariadbServer> {
  const program = mariadbProgram();
  if (!program) throw new Error("MariaDB is not installed");
  const folder = await mkdtemp(join(tmpdir(), "celeriac-mariadb-"));
  const data = join(folder, "data");
  const user = process.getuid?.() === 0 ? ["--user=root"] : [];
  const small = ["--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=2"];
  const own = ["--no-defaults", `--datadir=${data}`, ...user, ...small];
  await promisify(execFile)("mariadb-install-db", [
    ...own,
    "--auth-root-authentication-method=normal",
    "--skip-test-db",
  ]);
  const port = await freePort();
  const network = [`--port=${port}`, "--bind-address=127.0.0.1", `--socket=${join(folder, SOCKET)}`];
  const server = new ServerProcess(program, [
    ...own,
    ...network,
    "--character-set-server=utf8mb4",
    "--pid-file=pid",
    ...(tls ? [`--ssl-cert=${tls.certificate}`, `--ssl-key=${tls.key}`] : []),
  ]);
  const start = async (): Promise<void> => {
    server.start();
    await untilListening(port, server, 60_000);
  };
  await start();
  const execute = async (sql: string): Promise<void> => {
    const client = ["--no-defaults", `--socket=${join(folder, SOCKET)}`, "--user=root", "--database=mysql"];
    await promisify(execFile)("mariadb", [...client, `--execute=${sql}`]);
  };
  await execute(`CREATE DATABASE celery; CREATE USER celeriac@'%' IDENTIFIED BY 'secret word';
    GRANT ALL ON *.* TO celeriac@'%'`);
  for (const zone of ZONES) await execute(await zoneAsSql(zone));
  return {
    url: `mysql://celeriac:secret%20word@127.0.0.1:${port}/celery`,
    port,
    folder,
    start,
    kill: () => server.end("SIGKILL"),
    async stop() {
      await server.end("SIGTERM");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What makes a time zone known; nothing where the system has no time zones. */
async function zoneAsSql(zone: string): Promise<string> {
  const file = `/usr/share/zoneinfo/${zone}`;
  if (!existsSync(file)) return "";
  return (await promisify(execFile)("mariadb-tzinfo-to-sql", [file, zone])).stdout;
}
