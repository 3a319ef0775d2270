import { createInterface } from "node:readline";
import { PassThrough, type Readable } from "node:stream";
import type Docker from "dockerode";

/** What to run. */
export interface ContainerSpec {
  image: string;
  command: string[];
  env: Record<string, string>;
  /** MiB. */
  memory: number;
  cpus: number;
  /** `none`, `bridge`, or a network's name. */
  network: string;
  labels: Record<string, string>;
}

/** How it ended. */
export interface ContainerEnd {
  exitCode: number;
  /** True when it wanted more memory than it may have. */
  outOfMemory: boolean;
}

/**
 * Runs a container to its end and removes it, also when the signal ends it before.
 * @param onLine told of each line that it prints
 * @throws the signal's reason; what the engine says
 */
export async function runContainer(
  docker: Docker,
  spec: ContainerSpec,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<ContainerEnd> {
  signal.throwIfAborted();
  const container = await docker.createContainer(optionsOf(spec));
  try {
    const output = await container.attach({ stream: true, stdout: true, stderr: true });
    const printed = linesOf(docker, output, onLine);
    const ended = container.wait({ condition: "next-exit" }) as Promise<{ StatusCode: number }>;
    // Who waits for it may be gone when it fails.
    ended.catch(() => undefined);
    await container.start();
    const { StatusCode: exitCode } = await Promise.race([ended, abortion(signal)]);
    await printed;
    const { State } = await container.inspect();
    return { exitCode, outOfMemory: State.OOMKilled };
  } finally {
    await container.remove({ force: true, v: true });
  }
}

/** Removes containers that bear a label. @returns how many there were */
export async function removeContainers(docker: Docker, label: string): Promise<number> {
  const left = await docker.listContainers({ all: true, filters: { label: [label] } });
  await Promise.all(left.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })));
  return left.length;
}

function optionsOf({
  image,
  command,
  env,
  memory,
  cpus,
  network,
  labels,
}: ContainerSpec): Docker.ContainerCreateOptions {
  return {
    Image: image,
    ...(command.length > 0 && { Cmd: command }),
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    Labels: labels,
    Tty: false,
    HostConfig: {
      Init: true,
      Memory: memory * 1024 * 1024,
      // No swap beside it.
      MemorySwap: memory * 1024 * 1024,
      NanoCpus: Math.round(cpus * 1e9),
      PidsLimit: 256,
      NetworkMode: network,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
    },
  };
}

/** Both streams, line by line. Resolves when all has come. */
async function linesOf(docker: Docker, output: NodeJS.ReadWriteStream, onLine: (line: string) => void): Promise<void> {
  const both = [new PassThrough(), new PassThrough()] as const;
  docker.modem.demuxStream(output, ...both);
  for (const stream of both) output.once("close", () => stream.end()).once("end", () => stream.end());
  await Promise.all(both.map((stream) => eachLine(stream, onLine)));
}

async function eachLine(stream: Readable, onLine: (line: string) => void): Promise<void> {
  for await (const line of createInterface({ input: stream })) onLine(line);
}

function abortion(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
