import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { chmod, chown, copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Certificates } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "./free-port.ts";
import { installed } from "./program.ts";
import { type Owner, type Server, ServerProcess, untilListening } from "./server.ts";

/** A private PostgreSQL, whose superuser `celeriac` has the password `secret word`. */
export interface PostgresServer extends Server {
  readonly port: number;
  /** Where its socket lies. */
  readonly folder: string;
}

/** Debian keeps each version's programs in a folder of its own, off the path. */
const DEBIAN = "/usr/lib/postgresql";

/** Where PostgreSQL's programs are, of the newest version; undefined when it is not installed. */
export function postgresFolder(): string | undefined {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((one, other) => Number(other) - Number(one)) : [];
  const initdb = installed([...versions.map((version) => `${DEBIAN}/${version}/bin/initdb`), "initdb"]);
  return initdb && dirname(initdb);
}

/**
 * Starts a PostgreSQL on a free port, with a database cluster of its own, in a time zone that is not UTC.
 * @param tls what it encrypts connections with
 */
export async function startPostgres(tls?: Certificates): Promise<PostgresServer> {
  const programs = postgresFolder();
  if (!programs) throw new Error("PostgreSQL is not installed");
  const folder = await mkdtemp(join(tmpdir(), "celeriac-postgres-"));
  const owner = nobodySpecial();
  if (owner) await chown(folder, owner.uid, owner.gid);
  const data = join(folder, "data");
  const password = join(folder, "password");
  await writeFile(password, "secret word");
  const init = [
    "-D",
    data,
    "-U",
    "celeriac",
    "-A",
    "scram-sha-256",
    `--pwfile=${password}`,
    "-E",
    "UTF8",
    "--locale=C",
  ];
  await promisify(execFile)(join(programs, "initdb"), [...init, "--no-sync"], { cwd: folder, ...owner });
  const port = await freePort();
  const args = ["-D", data, "-p", String(port), "-h", "127.0.0.1", "-k", folder];
  const common = ["fsync=off", "timezone=Asia/Kolkata", "shared_buffers=16MB"];
  const settings = tls ? [...common, ...(await encrypting(tls, folder, owner))] : common;
  const options = settings.flatMap((setting) => ["-c", setting]);
  const server = new ServerProcess(join(programs, "postgres"), [...args, ...options], {}, owner);
  const start = async (): Promise<void> => {
    server.start();
    await untilListening(port, server);
    // It listens before it answers.
    const ask = ["-q", "-h", "127.0.0.1", "-p", String(port)];
    await eventually(() => promisify(execFile)(join(programs, "pg_isready"), ask).then(Boolean, () => false), 30_000);
  };
  await start();
  return {
    url: `postgresql://celeriac:secret%20word@127.0.0.1:${port}/postgres`,
    port,
    folder,
    start,
    kill: () => server.end("SIGKILL"),
    async stop() {
      await server.end("SIGINT");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The server wants its key for itself. */
async function encrypting(tls: Certificates, folder: string, owner: Owner | undefined): Promise<string[]> {
  const [certificate, key] = [join(folder, "server.pem"), join(folder, "server.key")];
  await copyFile(tls.certificate, certificate);
  await copyFile(tls.key, key);
  await chmod(key, 0o600);
  if (owner) for (const file of [certificate, key]) await chown(file, owner.uid, owner.gid);
  return ["ssl=on", `ssl_cert_file=${certificate}`, `ssl_key_file=${key}`];
}

/** PostgreSQL refuses to run as root: then as the user that its package made, or as nobody. */
function nobodySpecial(): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  const [, , uid, gid] = users.find(([name]) => name === "postgres") ?? users.find(([name]) => name === "nobody") ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}
