import { connect, type Socket } from "node:net";
import { utf8Encode } from "../../../protocol/serialization/bytes.ts";
import { type MemcachedReply, MemcachedReplyReader } from "../../../protocol/transport/memcached.ts";
import { OperationalError } from "../../app/errors.ts";

/** Where a memcached listens, and how long it may take. */
export interface MemcachedAddress {
  /** `host:port`, or the path of a socket. */
  name: string;
  host?: string;
  port?: number;
  path?: string;
  /** Milliseconds. */
  connectTimeoutMs: number;
  timeoutMs: number;
}

interface Asked {
  resolve(reply: MemcachedReply): void;
  reject(error: Error): void;
}

/**
 * One connection to a memcached, made when it is needed. Commands go out at once, and are answered in their order.
 * A command whose connection had stood for a while and breaks is sent once more: the server may have been restarted.
 */
export class MemcachedServer {
  readonly #address: MemcachedAddress;
  readonly #asked: Asked[] = [];
  #reader = new MemcachedReplyReader();
  #socket: Socket | undefined;
  /** Whether this connection has ever answered. */
  #proven = false;
  #closed = false;
  /** What was told to those whose connection broke before they had an answer. */
  readonly #breaks = new WeakSet<Error>();

  constructor(address: MemcachedAddress) {
    this.#address = address;
  }

  get name(): string {
    return this.#address.name;
  }

  /**
   * Sends a command that does no harm when it is done twice.
   * @throws OperationalError when the server cannot be reached, does not answer in time, or refuses
   */
  async ask(command: string | Uint8Array): Promise<MemcachedReply> {
    const proven = this.#proven;
    const bytes = typeof command === "string" ? utf8Encode(`${command}\r\n`) : command;
    try {
      return refused(await this.#send(bytes), this.name);
    } catch (error) {
      if (!this.#breaks.has(error as Error) || !proven || this.#closed) throw error;
      return refused(await this.#send(bytes), this.name);
    }
  }

  close(): void {
    this.#closed = true;
    this.#break(new OperationalError(`${this.name}: the connection was closed`));
  }

  #send(bytes: Uint8Array): Promise<MemcachedReply> {
    if (this.#closed) return Promise.reject(new OperationalError(`${this.name}: the connection was closed`));
    return new Promise((resolve, reject) => {
      const socket = this.#open();
      this.#asked.push({ resolve, reject });
      socket.write(bytes);
    });
  }

  #open(): Socket {
    if (this.#socket) return this.#socket;
    const { host, port, path, connectTimeoutMs, timeoutMs, name } = this.#address;
    const socket = path !== undefined ? connect({ path }) : connect({ host, port: port ?? 0 });
    this.#socket = socket;
    this.#reader = new MemcachedReplyReader();
    this.#proven = false;
    const lost = (error: Error): void => {
      if (socket === this.#socket) this.#break(error);
    };
    socket.setNoDelay(true);
    socket.setTimeout(connectTimeoutMs, () => {
      // Silence matters only while something is asked.
      if (socket.connecting || this.#asked.length > 0) {
        lost(new OperationalError(`${name}: no answer within ${socket.connecting ? connectTimeoutMs : timeoutMs} ms`));
      }
    });
    socket.on("connect", () => socket.setTimeout(timeoutMs));
    socket.on("data", (chunk) => this.#onData(chunk));
    const broke = (error: Error): void => {
      this.#breaks.add(error);
      lost(error);
    };
    socket.on("error", (cause) => broke(new OperationalError(`${name}: ${cause.message}`, { cause })));
    socket.on("close", () => broke(new OperationalError(`${name}: the server closed the connection`)));
    return socket;
  }

  #onData(chunk: Buffer): void {
    this.#proven = true;
    try {
      for (const reply of this.#reader.feed(chunk)) this.#asked.shift()?.resolve(reply);
    } catch (error) {
      this.#break(new OperationalError(`${this.name}: ${(error as Error).message}`, { cause: error }));
    }
  }

  #break(error: Error): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#proven = false;
    for (const { reject } of this.#asked.splice(0)) reject(error);
  }
}

function refused(reply: MemcachedReply, name: string): MemcachedReply {
  if (!/^(?:ERROR|CLIENT_ERROR|SERVER_ERROR)/.test(reply.line)) return reply;
  throw new OperationalError(`${name}: ${reply.line}`);
}
