import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Project } from "../../support/project.ts";
import { ROOT } from "../../support/tree.ts";

const COMMANDS = ["worker", "call", "result", "status", "inspect", "control", "events", "purge", "report", "version"];

let project: Project;
let documentation: string;

beforeAll(async () => {
  project = new Project();
  documentation = await readFile(join(ROOT, "docs/command-line.md"), "utf8");
});

afterAll(() => project[Symbol.asyncDispose]());

/** The options that a row of the documentation's tables names. */
function documented(row: string): string[] {
  const line = documentation.split("\n").find((text) => text.startsWith(`| \`${row}`)) ?? "";
  const named = [...line.matchAll(/`(--?[A-Za-z][\w-]*)[^`]*`/g)].map(([, option = ""]) => option);
  return named;
}

describe.concurrent("celeriac --help", () => {
  it("names every command", async () => {
    const { code, stdout } = await project.celeriac(["--help"]);
    expect(code).toBe(0);
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, "m"));
  });

  it("is what the bare command says", async () => {
    const [bare, help] = [await project.celeriac([]), await project.celeriac(["--help"])];
    expect(bare).toMatchObject({ code: 0, stdout: help.stdout });
  });

  it.each(COMMANDS)("of %s has its documented options, and those of every command", async (command) => {
    const { code, stdout } = await project.celeriac([command, "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: celeriac ${command}`);
    const options = [...documented(command), "-A", "--app", "-b", "--broker", "--result-backend", "--workdir", "-q"];
    for (const option of options) expect(stdout).toMatch(new RegExp(`(?<![\\w-])${option}(?![\\w-])`));
  });

  it("has no fewer options than the documentation knows", () => {
    expect(documented("worker").length).toBeGreaterThan(10);
    expect(documented("call").length).toBeGreaterThan(5);
  });
});

it.concurrent.each([["version"], ["--version"]])("celeriac %s prints the version", async (asked) => {
  const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  expect(await project.celeriac([asked])).toMatchObject({ code: 0, output: `${version}\n` });
});

describe.concurrent("a typing error", () => {
  it.each([
    ["in a command", ["wroker"], "unknown command 'wroker'", "Did you mean worker?"],
    ["in an option", ["worker", "--conurrency", "2"], "unknown option '--conurrency'", "Did you mean --concurrency?"],
    ["in an option of every command", ["--borker", "memory://"], "unknown option '--borker'", "Did you mean --broker?"],
  ])("%s suggests the right word", async (_, args, wrong, suggestion) => {
    const { code, output } = await project.celeriac(args);
    expect(output).toContain(wrong);
    expect(output).toContain(suggestion);
    const command = args[0] === "worker" ? "celeriac worker" : "celeriac";
    expect(output).toContain(`Try '${command} --help' for help.`);
    expect(code).toBe(2);
  });
});

describe.concurrent("a command line that cannot be understood ends with 2, and says what is allowed", () => {
  it.each([
    [["call"], "missing required argument 'name'"],
    [["version", "now"], "too many arguments"],
    [["worker"], "which application? Give its module with -A"],
    [["worker", "-c", "many"], "argument 'many' is invalid. It is a whole number from 1 up."],
    [["worker", "-l", "LOUD"], "It is one of DEBUG, INFO, WARNING, ERROR, CRITICAL, FATAL."],
    [["worker", "--logformat", "xml"], "Allowed choices are pretty, json."],
    [["worker", "-P", "prefrok"], "It is one of async, solo, threads, processes"],
    [["worker", "-Q", ","], "It is a list of names with commas between them."],
    [["worker", "--time-limit", "soon"], "It is a number of seconds."],
    [["worker", "--health", "localhost"], "It is HOST:PORT, such as 127.0.0.1:8080."],
    [["call", "tasks.add", "-a", "[1, 2"], "It is no JSON: Expecting ',' delimiter: char 5"],
    [["call", "tasks.add", "-a", "{}"], "It is a JSON list, such as '[1, \"two\"]'."],
    [["call", "tasks.add", "-k", "[]"], "It is a JSON object, such as '{\"x\": 1}'."],
    [["call", "tasks.add", "--eta", "tomorrow"], "It is a time in ISO 8601, such as 2031-05-06T07:08:09Z."],
    [["--workdir", "nowhere", "status"], "--workdir nowhere: there is no such folder"],
  ])("%j", async (args, said) => {
    const { code, output } = await project.celeriac(args);
    expect(output).toContain(said);
    expect(output).not.toMatch(/^ +at /m);
    expect(code).toBe(2);
  });
});
