import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { type Server, ServerProcess, untilListening } from "./server.ts";

/** A private Redis. */
export interface RedisServer extends Server {
  readonly port: number;
  /** Where its data and socket lie. */
  readonly folder: string;
}

/**
 * Starts a Redis on a free port, keeping its data over restarts.
 * @param args more of redis-server's options
 */
export async function startRedis(args: string[] = []): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), "celeriac-redis-"));
  const port = await freePort();
  const common = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes"];
  const server = new ServerProcess("redis-server", [...common, "--appendfsync", "no", ...args]);
  const start = async (): Promise<void> => {
    server.start();
    await untilListening(port, server);
  };
  await start();
  return {
    url: `redis://127.0.0.1:${port}/0`,
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
