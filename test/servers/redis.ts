import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { prepare } from "./program.ts";
import { type Server, untilListening } from "./server.ts";

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
  const server = await prepare({
    paths: ["redis-server"],
    args: [...common, "--appendfsync", "no", ...args],
    image: "redis",
  });
  const start = async (): Promise<void> => {
    server.process.start();
    await untilListening(port, server.process);
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
