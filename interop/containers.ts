import { execFile } from "node:child_process";
import { join } from "node:path";

/** What a program printed, and how it ended. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** `interop/compose`'s exit code where no container engine can be had. */
const NO_ENGINE = 75;

/** The services of `compose.yaml`, up for one test file and taken down with all they left. */
export class Containers implements AsyncDisposable {
  readonly #env: NodeJS.ProcessEnv;

  private constructor(project: string, tarball: string) {
    this.#env = { ...process.env, COMPOSE_PROJECT_NAME: project, CELERIAC_TARBALL: tarball };
  }

  /**
   * Makes the images that are missing and starts everything: minutes on a fresh machine, seconds later.
   * @param tarball the packed package that the celeriac workers run
   * @returns undefined where no container engine can be had
   * @throws Error with the output of what failed
   */
  static async up(tarball: string): Promise<Containers | undefined> {
    const containers = new Containers(`celeriac-test-${process.pid}`, tarball);
    const { code, stdout, stderr } = await containers.#run("compose", ["up", "-d"]);
    if (code === NO_ENGINE) return undefined;
    if (code !== 0) throw new Error(`interop/compose up ended with ${code}:\n${stdout}\n${stderr}`);
    const engine = await containers.#run("containers/engine", ["up"]);
    containers.#env.DOCKER_HOST = /DOCKER_HOST=(\S+)/.exec(engine.stdout)?.[1];
    return containers;
  }

  /** A command of docker compose. @throws Error with its output when it fails */
  async compose(...args: string[]): Promise<string> {
    return succeeded(await this.#run("compose", args), args);
  }

  /** A command of docker. @throws Error with its output when it fails */
  async docker(...args: string[]): Promise<string> {
    return succeeded(await execute("docker", args, this.#env), args);
  }

  /** The host and port at which a service's port is reached from this machine. */
  async address(service: string, port: number): Promise<string> {
    return (await this.compose("port", service, String(port))).trim();
  }

  /** The id of a service's container. */
  async id(service: string): Promise<string> {
    return (await this.compose("ps", "-q", service)).trim();
  }

  /** What a service's container logged so far. */
  async log(service: string): Promise<string> {
    const { stdout, stderr } = await execute("docker", ["logs", await this.id(service)], this.#env);
    return stdout + stderr;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.compose("down", "--volumes", "--timeout", "3");
  }

  #run(script: string, args: string[]): Promise<Outcome> {
    return execute(join(import.meta.dirname, script), args, this.#env);
  }
}

function execute(file: string, args: string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(file, args, { env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = typeof error?.code === "number" ? error.code : error ? 1 : 0;
      resolve({ code, stdout, stderr: error && !stderr ? String(error) : stderr });
    });
  });
}

function succeeded({ code, stdout, stderr }: Outcome, args: string[]): string {
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
  return stdout;
}
