import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type RedisServer, startRedis } from "../test/servers/redis.ts";
import { ServerProcess } from "../test/servers/server.ts";
import { eventually } from "../test/support/eventually.ts";

const ROOT = join(import.meta.dirname, "..");

interface Block {
  language: string;
  text: string;
}

/** The fenced blocks of a page, in order. */
function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = "", text = ""]) => ({ language, text }));
}

const python = inject("python");

/**
 * A newcomer's afternoon: the README from top to bottom in an empty project, with the packed package in the place of
 * the one that npm would fetch, and a Redis of its own in the place of the one on this machine.
 */
describe.skipIf(!python)("the README (needs Python 3)", () => {
  let project: string;
  let redis: RedisServer;
  let blocks: Block[];
  const workers: ServerProcess[] = [];

  beforeAll(async () => {
    project = await mkdtemp(join(tmpdir(), "celeriac-readme-"));
    redis = await startRedis();
    await writeFile(join(project, "package.json"), JSON.stringify({ name: "shop", private: true, type: "module" }));
    blocks = blocksOf((await readFile(join(ROOT, "README.md"), "utf8")).replaceAll("redis://localhost/0", redis.url));
  });

  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.end("SIGTERM")));
    await redis?.stop();
    await rm(project, { recursive: true, force: true });
  });

  it("works from top to bottom, and prints what its comments say", { timeout: 240_000 }, async () => {
    expect(blocks.length).toBeGreaterThan(10);
    for (const block of blocks) await execute(block);
  });

  async function execute({ language, text }: Block): Promise<void> {
    if (language === "bash") {
      for (const command of text.trim().split("\n")) await runLine(command);
      return;
    }
    const name = /^(?:#|\/\/) (\S+)$/m.exec(text)?.[1];
    if (!name) throw new Error(`a block without a file name:\n${text}`);
    await mkdir(dirname(join(project, name)), { recursive: true });
    await writeFile(join(project, name), text);
  }

  async function runLine(command: string): Promise<void> {
    const inRoot = command.startsWith("script/");
    const line = command.replace(
      /^npm install celeriac$/,
      `npm install --prefer-offline --no-audit ${inject("tarball")}`,
    );
    const cwd = inRoot ? ROOT : project;
    if (/ worker\b/.test(line)) return startWorker(line, cwd);
    const { code, output } = await shell(line, cwd);
    expect(code, `${command}\n${output}`).toBe(0);
    const file = /^(?:npx tsx|python) (\S+)$/.exec(command)?.[1];
    if (file) await expectOutput(file, output);
    if (command.includes("inspect ping")) expect(output).toContain("pong");
    if (command.endsWith(" status")) expect(output).toContain("2 nodes online.");
  }

  /** The comments behind `console.log` and `print` are what must come out, in order. */
  async function expectOutput(file: string, output: string): Promise<void> {
    const source = await readFile(join(project, file), "utf8");
    const said = [...source.matchAll(/(?:console\.log|print)\(.*\);? +(?:\/\/|#) (.*)$/gm)].map((match) => match[1]);
    expect(said.length).toBeGreaterThan(0);
    expect(output.trim().split("\n")).toEqual(said);
  }

  async function startWorker(line: string, cwd: string): Promise<void> {
    const worker = new ServerProcess("bash", ["-c", `cd ${cwd} && exec ${line}`], environment());
    workers.push(worker);
    worker.start();
    await eventually(() => {
      if (!worker.running) throw new Error(`${line} ended:\n${worker.output}`);
      return worker.output.includes(" ready.");
    }, 30_000);
  }

  function shell(line: string, cwd: string): Promise<{ code: number | null; output: string }> {
    return new Promise((resolve) => {
      const child = spawn("bash", ["-c", line], { cwd, env: { ...process.env, ...environment() } });
      let output = "";
      let errors = "";
      child.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString();
      });
      child.stderr.on("data", (chunk: Buffer) => {
        errors += chunk.toString();
      });
      child.on("close", (code) => resolve({ code, output: code === 0 ? output : output + errors }));
    });
  }

  function environment(): NodeJS.ProcessEnv {
    return { PATH: `${dirname(python)}:${process.env.PATH}`, C_FORCE_ROOT: "1", PYTHONDONTWRITEBYTECODE: "1" };
  }
});

describe("the README's links", () => {
  it("lead somewhere", async () => {
    const text = await readFile(join(ROOT, "README.md"), "utf8");
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map((match) => match[1] ?? "");
    expect(links.filter((link) => !existsSync(join(ROOT, link)))).toEqual([]);
  });
});
