import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { inject } from "vitest";
import { command, environment, type Outcome } from "./command.ts";
import { eventually } from "./eventually.ts";

/** A user's project: it has the package installed, as `test/built.ts` built it, and the modules that a test writes. */
export class Project implements AsyncDisposable {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), "celeriac-project-")));
  readonly #main = join(inject("built"), "dist/src/cli/main.js");
  readonly #started: RunningCommand[] = [];

  constructor() {
    mkdirSync(join(this.folder, "node_modules"));
    symlinkSync(inject("built"), join(this.folder, "node_modules/celeriac"));
    this.write("package.json", '{ "private": true, "type": "module" }');
  }

  /** Writes a file. */
  write(name: string, text: string): void {
    mkdirSync(dirname(join(this.folder, name)), { recursive: true });
    writeFileSync(join(this.folder, name), text);
  }

  /** Runs `celeriac` to its end, which comes within 20 s. */
  celeriac(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
    return command(process.execPath, [this.#main, ...args], { cwd: this.folder, env, killAfter: 20_000 });
  }

  /** Starts `celeriac`; it is killed with the project at the latest. */
  start(args: readonly string[], env: NodeJS.ProcessEnv = {}): RunningCommand {
    return this.run([this.#main, ...args], env);
  }

  /** Starts Node with a program; it is killed with the project at the latest. */
  run(args: readonly string[], env: NodeJS.ProcessEnv = {}): RunningCommand {
    const started = new RunningCommand(args, this.folder, env);
    this.#started.push(started);
    return started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#started.map((running) => running.kill()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A command that runs beside the test. */
export class RunningCommand {
  /** What it wrote to stderr so far. */
  stderr = "";
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;

  constructor(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv) {
    const child = spawn(process.execPath, args, { cwd, env: environment(env), stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.#exit = once(child, "close").then(([code]) => code);
    const kill = (): void => void child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("exit", () => process.removeListener("exit", kill));
  }

  /** The lines of its log, each of which is JSON. */
  get log(): { level: number; msg: string; [field: string]: unknown }[] {
    const lines = this.stderr.split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line));
  }

  /** Waits until it has said something. @throws Error with all it said when it ends instead */
  async said(text: string): Promise<this> {
    await eventually(() => {
      if (!this.stderr.includes(text) && this.#child.exitCode !== null) throw new Error(`it ended:\n${this.stderr}`);
      return this.stderr.includes(text);
    }, 20_000);
    return this;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Its exit code, when it has ended and all that it wrote has come; null when a signal ended it. */
  ended(): Promise<number | null> {
    return this.#exit;
  }

  /** Ends it as an out-of-memory killer would. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.#exit;
  }
}
