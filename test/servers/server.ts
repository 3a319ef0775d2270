import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";

/** A server that a test has for itself. */
export interface Server {
  readonly url: string;
  /** Stops it and waits until it is gone. */
  stop(): Promise<void>;
  /** Stops it without warning. */
  kill(): Promise<void>;
  /** Starts it again on the same port, with the data that it kept. */
  start(): Promise<void>;
}

/** Whom a program runs as; only root can say. */
export interface Owner {
  uid: number;
  gid: number;
}

/** A program that a test started; it is killed with the test at the latest. */
export class ServerProcess {
  readonly #command: string;
  readonly #args: string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly #owner: Owner | undefined;
  #child: ChildProcess | undefined;
  output = "";

  /** @param owner this process's own unless given */
  constructor(command: string, args: string[], env: NodeJS.ProcessEnv = {}, owner?: Owner) {
    this.#command = command;
    this.#args = args;
    this.#env = env;
    this.#owner = owner;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const child = spawn(this.#command, this.#args, {
      env: { ...process.env, ...this.#env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      ...this.#owner,
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        this.output = (this.output + chunk.toString()).slice(-20_000);
      });
    }
    const killGroup = (): void => this.signal("SIGKILL");
    process.once("exit", killGroup);
    child.once("exit", () => process.removeListener("exit", killGroup));
  }

  signal(signal: NodeJS.Signals): void {
    try {
      if (this.#child?.pid) process.kill(-this.#child.pid, signal);
    } catch {
      // It is gone already.
    }
  }

  async end(signal: NodeJS.Signals, timeoutMs = 10_000): Promise<void> {
    const child = this.#child;
    if (!child || !this.running) return;
    const gone = once(child, "exit");
    const timer = setTimeout(() => this.signal("SIGKILL"), timeoutMs);
    this.signal(signal);
    await gone;
    clearTimeout(timer);
  }
}

/** Waits until something listens on a port. @throws Error with the server's output when nothing does */
export async function untilListening(port: number, server: ServerProcess, timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    if (await accepts(port)) return;
    if (!server.running) break;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`nothing listens on port ${port}:\n${server.output}`);
}

/** Waits until nothing listens on a port any more. */
export async function untilClosed(port: number): Promise<void> {
  while (await accepts(port)) await new Promise((resolve) => setTimeout(resolve, 25));
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
