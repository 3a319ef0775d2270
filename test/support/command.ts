import { spawn } from "node:child_process";

/** How a command ended. */
export interface Outcome {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  /** Both streams, as they came. */
  readonly output: string;
  readonly milliseconds: number;
}

/** Where a command runs. */
export interface CommandOptions {
  cwd: string;
  /** More of the environment. */
  env?: NodeJS.ProcessEnv;
  /** Milliseconds after which it is killed. */
  killAfter?: number;
}

/** Our own environment, but for the settings that npm hands down to what it starts, and without colours. */
export function environment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([key]) => !/^(?:npm_|FORCE_COLOR$|NODE_ENV$)/.test(key));
  return { ...Object.fromEntries(inherited), NO_COLOR: "1", ...more };
}

/** Runs a command to its end, in {@link environment}. */
export function command(name: string, args: readonly string[], options: CommandOptions): Promise<Outcome> {
  const env = environment(options.env);
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(name, args, { cwd: options.cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    const timer = options.killAfter && setTimeout(() => child.kill("SIGKILL"), options.killAfter);
    let stdout = "";
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, output, milliseconds: performance.now() - started });
    });
  });
}

/** The same, for a command that has to succeed; what it wrote to stdout. @throws Error with all that it wrote */
export async function succeed(name: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const { code, stdout, output } = await command(name, args, options);
  if (code !== 0) throw new Error(`${[name, ...args].join(" ")} ended with ${code}:\n${output}`);
  return stdout;
}
