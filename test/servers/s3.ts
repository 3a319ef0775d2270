import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { freePort } from "./free-port.ts";
import { type Server, ServerProcess, untilListening } from "./server.ts";

/** Starts a server that speaks S3's protocol (moto), of a Python environment, on a free port. @param python its interpreter */
export async function startS3(python: string): Promise<Server> {
  const program = join(dirname(python), "moto_server");
  if (!existsSync(program)) throw new Error("moto is not installed");
  const port = await freePort();
  const server = new ServerProcess(program, ["-H", "127.0.0.1", "-p", String(port)]);
  const start = async (): Promise<void> => {
    server.start();
    await untilListening(port, server, 60_000);
  };
  await start();
  return {
    url: `http://127.0.0.1:${port}`,
    start,
    kill: () => server.end("SIGKILL"),
    stop: () => server.end("SIGTERM"),
  };
}
