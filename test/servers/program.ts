import { execFile, execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { ServerProcess } from "./server.ts";

const run = promisify(execFile);
const CONTAINERS = join(import.meta.dirname, "../../interop/containers");

/** A server's program, and what it is told. */
export interface Program {
  /** Where it may be; a bare name is looked for in PATH. The first that is there is run. */
  paths: readonly string[];
  args: readonly string[];
  env?: NodeJS.ProcessEnv;
  /** The image that has it as well, as `interop/containers/base-images` names it. */
  image: "redis" | "rabbitmq";
}

/** A server that was started from its program or in a container; both are ended in the same way. */
export interface RunningProgram {
  readonly process: ServerProcess;
  end(signal: NodeJS.Signals): Promise<void>;
  /** Runs a program beside it: on this machine, or in its container. @returns what it printed */
  beside(paths: readonly string[], args: readonly string[]): Promise<string>;
}

/** CELERIAC_TEST_SERVERS=containers has containers used although the programs are here. */
const ONLY_CONTAINERS = process.env.CELERIAC_TEST_SERVERS === "containers";

/** Where the first of these programs is; undefined when none is installed. */
export function installed(paths: readonly string[]): string | undefined {
  if (ONLY_CONTAINERS) return undefined;
  const folders = (process.env.PATH ?? "").split(delimiter);
  return paths
    .flatMap((path) => (path.includes("/") ? [path] : folders.map((folder) => join(folder, path))))
    .find((path) => existsSync(path));
}

/** Asked for once: an engine is started where that is possible. */
let engine: string | null | undefined;

/** The address of a container engine; null where there is none. */
export function containerEngine(): string | null {
  if (engine !== undefined) return engine;
  try {
    const printed = execFileSync(join(CONTAINERS, "engine"), ["up"], { encoding: "utf8" });
    engine = /DOCKER_HOST=(\S+)/.exec(printed)?.[1] ?? null;
  } catch {
    engine = null;
  }
  return engine;
}

/** Makes a program ready to be started. @throws Error when it is not installed and containers cannot be run either */
export async function prepare(program: Program): Promise<RunningProgram> {
  const path = installed(program.paths);
  if (path) return onThisMachine(path, program);
  const host = containerEngine();
  if (!host) throw new Error(`${program.paths[0]} is not installed, and no container engine can be had here`);
  return inContainer(program, host);
}

function onThisMachine(path: string, { args, env = {} }: Program): RunningProgram {
  const server = new ServerProcess(path, [...args], env);
  return {
    process: server,
    end: (signal) => server.end(signal),
    async beside(paths, given) {
      const { stdout } = await run(installed(paths) ?? paths[0] ?? "", given, { env: { ...process.env, ...env } });
      return stdout;
    },
  };
}

/** With the machine's own network and temporary folder, so that addresses and files mean the same. */
async function inContainer({ paths, args, env = {}, image }: Program, host: string): Promise<RunningProgram> {
  const docker = { env: { ...process.env, DOCKER_HOST: host } };
  await run(join(CONTAINERS, "base-images"), [image], docker);
  const { stdout: exported } = await run(join(CONTAINERS, "base-images"), ["env"], docker);
  const tag = new RegExp(`${image.toUpperCase()}_IMAGE=(\\S+)`).exec(exported)?.[1] ?? image;
  const name = `celeriac-test-${randomUUID().slice(0, 8)}`;
  const first = (all: readonly string[]): string => `exec "$(command -v ${all.join(" ")} | head -1)" "$@"`;
  const network = ["--network", "host"];
  const user = process.getuid ? ["--user", `${process.getuid()}:${process.getgid?.()}`] : [];
  const settings = Object.entries(env).flatMap(([key, value]) => ["--env", `${key}=${value}`]);
  const mounted = ["--volume", `${tmpdir()}:${tmpdir()}`];
  const options = [
    "--rm",
    "--init",
    "--name",
    name,
    "--entrypoint",
    "sh",
    ...network,
    ...user,
    ...settings,
    ...mounted,
  ];
  const server = new ServerProcess("docker", ["run", ...options, tag, "-c", first(paths), "sh", ...args], docker.env);
  return {
    process: server,
    async end(signal) {
      if (!server.running) return;
      // The command that waits for a container passes every signal on but this one.
      if (signal === "SIGKILL") await run("docker", ["kill", name], docker).catch(() => undefined);
      await server.end("SIGTERM");
    },
    async beside(programs, given) {
      const { stdout } = await run("docker", ["exec", name, "sh", "-c", first(programs), "sh", ...given], docker);
      return stdout;
    },
  };
}
