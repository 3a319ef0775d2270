import { createServer, type Server } from "node:http";

/**
 * Answers 200 on `/` while the worker consumes, and 503 while it does not: for the probes of an orchestrator.
 * @throws Error when the port is taken
 */
export function serveHealth(
  { host, port }: { host: string; port: number },
  state: () => { consuming: boolean; body: Record<string, unknown> },
): Promise<Server> {
  const server = createServer((request, response) => {
    const path = (request.url ?? "/").split("?")[0];
    if (path !== "/") {
      response.writeHead(404).end();
      return;
    }
    const { consuming, body } = state();
    response.writeHead(consuming ? 200 : 503, { "content-type": "application/json" });
    response.end(`${JSON.stringify({ status: consuming ? "ok" : "not consuming", ...body })}\n`);
  });
  // It must not keep the process alive on its own.
  server.unref();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve(server));
  });
}
