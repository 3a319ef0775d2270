import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** The network between clients and a server, with its faults. */
export interface TcpProxy {
  readonly port: number;
  /** How many connections it has taken. */
  readonly taken: number;
  /** Breaks every connection, on both sides. */
  cut(): void;
  /** Breaks the clients' sides only; what it returns breaks the server's sides as well. */
  cutClients(): () => void;
  /** Breaks a connection in place of passing on what holds these bytes: once, or each time until told otherwise. */
  cutAt(from: "client" | "server", bytes: readonly number[], times?: number): void;
  /** Passes nothing on any more, and tells nobody. */
  freeze(): void;
  thaw(): void;
  /** Breaks every connection and refuses new ones. */
  refuse(): Promise<void>;
  /** Takes connections again, on the same port. */
  accept(): Promise<void>;
}

interface Pair {
  client: Socket;
  server: Socket;
}

/** Starts a proxy on a free port of this machine. @param target the port of the server behind it */
export async function startProxy(target: number, host = "127.0.0.1"): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let fault: { from: "client" | "server"; bytes: Buffer; times: number } | undefined;
  let listener: Server;
  let port = 0;
  let taken = 0;
  let frozen = false;

  const end = (pair: Pair): void => {
    pairs.delete(pair);
    pair.client.destroy();
    pair.server.destroy();
  };
  const cut = (): void => {
    for (const pair of [...pairs]) end(pair);
  };
  const join = (client: Socket): void => {
    taken++;
    const pair = { client, server: connect(target, host) };
    pairs.add(pair);
    for (const from of ["client", "server"] as const) {
      const [source, sink] = from === "client" ? [pair.client, pair.server] : [pair.server, pair.client];
      source.setNoDelay(true);
      if (frozen) source.pause();
      source.on("data", (chunk: Buffer) => {
        if (fault?.from !== from || fault.times === 0 || !chunk.includes(fault.bytes)) return void sink.write(chunk);
        fault.times--;
        end(pair);
      });
      source.on("error", () => undefined);
      source.on("close", () => end(pair));
    }
  };
  const accept = async (): Promise<void> => {
    listener = createServer(join).listen(port, "127.0.0.1");
    await once(listener, "listening");
    port = (listener.address() as AddressInfo).port;
  };
  const flow = (how: "pause" | "resume"): void => {
    frozen = how === "pause";
    for (const { client, server } of pairs) for (const socket of [client, server]) socket[how]();
  };

  await accept();
  return {
    port,
    get taken() {
      return taken;
    },
    cut,
    cutClients() {
      const left = [...pairs];
      for (const pair of left) {
        pair.client.removeAllListeners("close").destroy();
        pairs.delete(pair);
      }
      return () => left.forEach(end);
    },
    cutAt(from, bytes, times = 1) {
      fault = { from, bytes: Buffer.from(bytes), times };
    },
    freeze: () => flow("pause"),
    thaw: () => flow("resume"),
    async refuse() {
      listener.close();
      cut();
    },
    accept,
  };
}
