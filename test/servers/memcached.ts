import { freePort } from "./free-port.ts";
import { installed } from "./program.ts";
import { type Server, ServerProcess, untilListening } from "./server.ts";

/** A private memcached. */
export interface MemcachedServer extends Server {
  readonly port: number;
}

/** memcached; undefined when it is not installed. */
export function memcachedProgram(): string | undefined {
  return installed(["memcached", "/usr/bin/memcached"]);
}

/** Starts a memcached on a free port. What it held is gone when it is started again. */
export async function startMemcached(): Promise<MemcachedServer> {
  const program = memcachedProgram();
  if (!program) throw new Error("memcached is not installed");
  const port = await freePort();
  const user = process.getuid?.() === 0 ? ["-u", "root"] : [];
  const server = new ServerProcess(program, ["-l", "127.0.0.1", "-p", String(port), "-m", "64", "-t", "1", ...user]);
  const start = async (): Promise<void> => {
    server.start();
    await untilListening(port, server);
  };
  await start();
  return {
    url: `memcached://127.0.0.1:${port}/`,
    port,
    start,
    kill: () => server.end("SIGKILL"),
    stop: () => server.end("SIGTERM"),
  };
}
