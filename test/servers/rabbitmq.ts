import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { containerEngine, installed, prepare } from "./program.ts";
import { type Server, untilClosed, untilListening } from "./server.ts";

/** A private RabbitMQ. */
export interface RabbitServer extends Server {
  readonly port: number;
  /** Runs rabbitmqctl against it. */
  ctl(...args: string[]): Promise<string>;
}

/** Debian's own commands switch to the server's user; what they call can be run by anybody. */
const FOLDERS = ["/usr/lib/rabbitmq/bin", "/usr/local/sbin", "/opt/rabbitmq/sbin", "/opt/homebrew/sbin"];

const programs = (name: string): string[] => FOLDERS.map((folder) => join(folder, name));

/** Whether a RabbitMQ can be started here. */
export function canStartRabbit(): boolean {
  return installed(programs("rabbitmq-server")) !== undefined || containerEngine() !== null;
}

/**
 * Starts a RabbitMQ on a free port, with a port mapper of its own.
 * @param config lines of rabbitmq.conf
 */
export async function startRabbit(config: string[] = []): Promise<RabbitServer> {
  const folder = await mkdtemp(join(tmpdir(), "celeriac-rabbit-"));
  const [port, distribution, mapper] = [await freePort(), await freePort(), await freePort()];
  await writeFile(join(folder, "rabbitmq.conf"), ["loopback_users = none", ...config, ""].join("\n"));
  await writeFile(join(folder, "enabled_plugins"), "[].");
  const env: NodeJS.ProcessEnv = {
    HOME: folder,
    ERL_EPMD_PORT: String(mapper),
    RABBITMQ_NODENAME: `celeriac-${port}@localhost`,
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_NODE_IP_ADDRESS: "127.0.0.1",
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_MNESIA_BASE: join(folder, "data"),
    RABBITMQ_LOG_BASE: join(folder, "log"),
    RABBITMQ_LOGS: "-",
    RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq.conf"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "enabled_plugins"),
    RABBITMQ_PID_FILE: join(folder, "pid"),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "+S 2:2 +sbwt none",
  };
  const server = await prepare({ paths: programs("rabbitmq-server"), args: [], env, image: "rabbitmq" });
  const start = async (): Promise<void> => {
    server.process.start();
    await untilListening(port, server.process, 60_000);
  };
  await start();
  return {
    url: `amqp://guest:guest@127.0.0.1:${port}//`,
    port,
    start,
    async kill() {
      await server.end("SIGKILL");
      // What has ended is the shell around it.
      await untilClosed(port);
    },
    ctl: (...args) => server.beside(programs("rabbitmqctl"), ["-q", ...args]),
    async stop() {
      await server.end("SIGTERM");
      // The port mapper outlives the node that started it; in a container it is gone already.
      await server.beside(["epmd"], ["-port", String(mapper), "-kill"]).catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
