import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { installed } from "./program.ts";
import { type Server, ServerProcess, untilListening } from "./server.ts";

/** A private MongoDB. */
export interface MongodbServer extends Server {
  readonly port: number;
}

/** Where script/setup puts a server that speaks MongoDB's protocol, for machines without mongod. */
const OTHER = join(
  process.env.CELERIAC_CACHE ?? join(import.meta.dirname, "../../.cache"),
  "python/secantusdb/bin/secantusd-py",
);

/** A MongoDB server; undefined when there is none. */
export function mongodbProgram(): string | undefined {
  return installed(["mongod", OTHER]);
}

/** Starts a MongoDB on a free port, keeping its data over restarts. */
export async function startMongodb(): Promise<MongodbServer> {
  const program = mongodbProgram();
  if (!program) throw new Error("MongoDB is not installed");
  const folder = await mkdtemp(join(tmpdir(), "celeriac-mongodb-"));
  const port = await freePort();
  const args =
    program === OTHER
      ? ["--host", "127.0.0.1", "--port", String(port), "--storage-path", folder, "--standalone"]
      : ["--bind_ip", "127.0.0.1", "--port", String(port), "--dbpath", folder, "--unixSocketPrefix", folder];
  const server = new ServerProcess(program, args);
  const start = async (): Promise<void> => {
    server.start();
    await untilListening(port, server, 60_000);
  };
  await start();
  return {
    url: `mongodb://127.0.0.1:${port}`,
    port,
    start,
    kill: () => server.end("SIGKILL"),
    async stop() {
      await server.end("SIGTERM");
      await rm(folder, { recursive: true, force: true });
    },
  };
}
