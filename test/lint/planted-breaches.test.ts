import { appendFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { command, type Outcome } from "../support/command.ts";
import { copyOfTree, ROOT } from "../support/tree.ts";

/** What dependency-cruiser says, as far as it is read here. */
interface Cruise {
  modules: { source: string }[];
  summary: { violations: { from: string; to: string; rule: { name: string } }[] };
}

/** A file that breaks a rule of `.dependency-cruiser.mjs`. */
type Breach = readonly [rule: string, file: string, line: string];

const IMPORTS: readonly Breach[] = [
  ["no-circular", "src/worker/breach-one.ts", `export * from "./breach-two.ts";`],
  ["protocol-knows-only-itself", "protocol/breach-src.ts", `export * from "../src/masked-url.ts";`],
  [
    "protocol-knows-only-itself",
    "protocol/result/breach-type.ts",
    `export type { Logger } from "../../src/logger.ts";`,
  ],
  ["protocol-has-no-node-modules", "protocol/breach-node.ts", `export { readFileSync } from "node:fs";`],
  ["protocol-has-no-node-modules", "protocol/breach-bare.ts", `export { randomUUID } from "crypto";`],
  ["protocol-has-two-packages", "protocol/breach-zod.ts", `export { z } from "zod";`],
  ["protocol-has-two-packages", "protocol/breach-driver.ts", `export { Redis } from "ioredis";`],
  ["only-adapters-know-adapters", "src/app/breach-broker.ts", `export * from "../brokers/memory/memory-broker.ts";`],
  ["only-adapters-know-adapters", "src/app/breach-shared.ts", `export * from "../brokers/deadline.ts";`],
  ["only-adapters-know-adapters", "src/worker/breach-backend.ts", `export * from "../backends/rpc.ts";`],
  ["only-adapters-know-adapters", "src/worker/breach-pool.ts", `export * from "../pools/async.ts";`],
  [
    "only-adapters-know-adapters",
    "src/cli/breach-type.ts",
    `export type { RedisBroker } from "../brokers/redis/redis-broker.ts";`,
  ],
  ["adapters-load-when-asked-for", "src/adapters.ts", `export * from "./brokers/memory/memory-broker.ts";`],
  ["adapters-do-not-know-each-other", "src/brokers/redis/breach-broker.ts", `export * from "../memory/hub.ts";`],
  ["adapters-do-not-know-each-other", "src/backends/redis/breach-backend.ts", `export * from "../rpc.ts";`],
  ["adapters-do-not-know-each-other", "src/backends/breach-backend.ts", `export * from "./memory/store.ts";`],
  ["adapters-do-not-know-each-other", "src/pools/breach-pool.ts", `export * from "./async.ts";`],
  [
    "adapters-keep-to-their-kind",
    "src/brokers/redis/breach-kind.ts",
    `export * from "../../backends/redis/chords.ts";`,
  ],
  [
    "adapters-keep-to-their-kind",
    "src/backends/redis/breach-kind.ts",
    `export * from "../../brokers/redis/upkeep.ts";`,
  ],
  ["adapters-keep-to-their-kind", "src/backends/breach-kind.ts", `export * from "../brokers/deadline.ts";`],
  ["adapters-keep-to-their-kind", "src/pools/breach-kind.ts", `export * from "../backends/backend.ts";`],
  ["adapters-do-not-know-the-application", "src/brokers/breach-app.ts", `export * from "../app/router.ts";`],
  ["adapters-do-not-know-the-application", "src/backends/memory/breach.ts", `export * from "../../worker/eta.ts";`],
  ["adapters-do-not-know-the-application", "src/pools/breach-worker.ts", `export * from "../worker/tracer.ts";`],
  ["adapters-do-not-know-the-application", "src/redis/breach-adapters.ts", `export * from "../adapters.ts";`],
  ["amqplib-stays-in-its-adapter", "src/brokers/redis/breach-amqp.ts", `export { connect } from "amqplib";`],
  ["amqplib-stays-in-its-adapter", "src/app/breach-amqp.ts", `export type { Channel } from "amqplib";`],
  ["ioredis-stays-in-its-adapters", "src/brokers/amqp/breach-redis.ts", `export { Redis } from "ioredis";`],
  ["ioredis-stays-in-its-adapters", "src/worker/breach-redis.ts", `export type { Redis } from "ioredis";`],
  ["databases-stay-in-their-adapter", "src/backends/redis/breach-pg.ts", `export { Client } from "pg";`],
  ["databases-stay-in-their-adapter", "src/app/breach-mysql.ts", `export type { Pool } from "mysql2/promise";`],
  ["mongodb-stays-in-its-adapter", "src/backends/redis/breach-mongo.ts", `export type { Db } from "mongodb";`],
  [
    "optional-packages-load-when-asked-for",
    "src/backends/database/breach-mysql.ts",
    `export { createPool } from "mysql2/promise";`,
  ],
  ["only-the-command-line-knows-the-index", "src/worker/breach-index.ts", `export * from "../index.ts";`],
  ["the-command-line-comes-through-the-index", "src/cli/breach-app.ts", `export * from "../app/router.ts";`],
  ["the-command-line-comes-through-the-index", "src/cli/commands/breach.ts", `export * from "../../adapters.ts";`],
  ["nobody-knows-the-command-line", "src/app/breach-cli.ts", `export * from "../cli/values.ts";`],
  ["nobody-knows-the-tests", "src/app/breach-test.ts", `export * from "../../test/support/eventually.ts";`],
  ["nobody-knows-the-tests", "src/app/breach-interop.ts", `export * from "../../interop/python.ts";`],
  ["nobody-knows-the-tests", "protocol/breach-bench.ts", `export * from "../bench/spread.ts";`],
  ["nobody-knows-the-tests", "src/breach-example.ts", `export * from "../examples/demo/app.ts";`],
  ["only-declared-packages", "src/app/breach-dev.ts", `export { assert } from "fast-check";`],
  ["only-declared-packages", "src/app/breach-indirect.ts", `export { encode } from "@jridgewell/sourcemap-codec";`],
];

/** What makes a circle of the first of them. */
const OTHER_HALF: readonly [file: string, text: string] = [
  "src/worker/breach-two.ts",
  `export * from "./breach-one.ts";\n`,
];

/** What no runtime but Node, or no pure function, has: the compiler does not know it in protocol/. */
const UNKNOWN_IN_PROTOCOL: readonly (readonly [what: string, line: string])[] = [
  ["buffer", `export const bytes = Buffer.from("a");`],
  ["process", "export const id = process.pid;"],
  ["timer", "export const timer = setTimeout(() => {}, 1);"],
  ["import-node", `export { readFileSync } from "node:fs";`],
  ["import-bare", `export { readFileSync } from "fs";`],
  ["import-effect", `import "node:fs";`],
  ["require", `export const fs = require("fs");`],
  ["console", `console.log("a");`],
  ["performance", "export const now = performance.now();"],
  ["crypto", "export const id = crypto.randomUUID();"],
  ["fetch", `export const answer = fetch("http://localhost/");`],
  ["dirname", "export const here = import.meta.dirname;"],
];

/** What Biome refuses, and the words in which it does. */
const REFUSED: readonly (readonly [what: string, words: string, file: string, text: string])[] = [
  ["any", "noExplicitAny", "src/breach-any.ts", "export const anything: any = 1;\n"],
  ["an unused import", "noUnusedImports", "src/breach-unused.ts", `import { join } from "node:path";\n`],
  ["an unused variable", "noUnusedVariables", "src/breach-variable.ts", "function unused(): void {}\n"],
  [
    "a type imported as a value",
    "useImportType",
    "src/breach-type.ts",
    `import { Logger } from "./logger.ts";\n\nexport const log: Logger | null = null;\n`,
  ],
  ["node without node:", "useNodejsImportProtocol", "test/breach-node.ts", `export { join } from "path";\n`],
  ["another format", "Formatter would have printed", "src/breach-layout.ts", "export const quoted = 'text'\n"],
  ["the time in protocol/", "is pure", "protocol/breach-now.ts", "export const now = Date.now();\n"],
  ["the present date in protocol/", "is pure", "protocol/breach-date.ts", "export const today = new Date();\n"],
  ["the date's text in protocol/", "is pure", "protocol/breach-text.ts", "export const today = Date();\n"],
  ["chance in protocol/", "is pure", "protocol/breach-random.ts", "export const chance = Math.random();\n"],
  [
    "chance handed on in protocol/",
    "is pure",
    "protocol/breach-given.ts",
    "export const chances = [1].map(Math.random);\n",
  ],
  ["the long way round", "is pure", "protocol/breach-global.ts", "export const now = globalThis.Date.now();\n"],
];

const copies: string[] = [];

afterAll(async () => {
  for (const copy of copies) await rm(copy, { recursive: true, force: true });
});

/** A copy of the project with more text at the end of some files, or in new ones. */
async function treeWith(files: Iterable<readonly [file: string, text: string]>): Promise<string> {
  const tree = await copyOfTree();
  copies.push(tree);
  for (const [file, text] of files) await appendFile(join(tree, file), text);
  return tree;
}

function tool(name: string, args: readonly string[], cwd: string): Promise<Outcome> {
  return command(join(ROOT, "node_modules/.bin", name), args, { cwd });
}

describe("dependency-cruiser", () => {
  async function cruise(cwd: string): Promise<Cruise> {
    const args = ["--config", ".dependency-cruiser.mjs", "--output-type", "json", "protocol", "src"];
    return JSON.parse((await tool("depcruise", args, cwd)).stdout);
  }

  it("finds nothing in the project, and has seen all of it", async () => {
    const { modules, summary } = await cruise(ROOT);
    expect(summary.violations).toEqual([]);
    expect(modules.filter(({ source }) => /^(?:protocol|src)\//.test(source)).length).toBeGreaterThan(100);
  });

  it("has a breach planted here for each of its rules", async () => {
    const config: { forbidden: { name: string }[] } = (await import(join(ROOT, ".dependency-cruiser.mjs"))).default;
    const rules = config.forbidden.map(({ name }) => name);
    expect([...new Set(IMPORTS.map(([rule]) => rule))].sort()).toEqual(rules.sort());
  });

  describe("finds the breach", () => {
    let violations: Cruise["summary"]["violations"];

    beforeAll(async () => {
      const tree = await treeWith([OTHER_HALF, ...IMPORTS.map(([, file, line]) => [file, `${line}\n`] as const)]);
      violations = (await cruise(tree)).summary.violations;
    });

    it.each(IMPORTS)("of %s in %s", (rule, file) => {
      expect(violations.filter(({ from }) => from === file).map((violation) => violation.rule.name)).toContain(rule);
    });

    it("in the planted files and nowhere else", () => {
      const planted = new Set(IMPORTS.map(([, file]) => file));
      expect(violations.filter(({ from }) => !planted.has(from))).toEqual([]);
    });
  });
});

describe("the compiler", () => {
  let errors: string[];
  const fileOf = (what: string): string => `protocol/breach-${what}.ts`;

  beforeAll(async () => {
    const tree = await treeWith(UNKNOWN_IN_PROTOCOL.map(([what, line]) => [fileOf(what), `${line}\nexport {};\n`]));
    const { code, stdout } = await tool("tsc", ["-p", "protocol", "--noEmit", "--pretty", "false"], tree);
    expect(code).not.toBe(0);
    errors = [...stdout.matchAll(/^([^\s(]+)\(\d+,\d+\): error/gm)].map(([, file = ""]) => file);
  });

  it.each(UNKNOWN_IN_PROTOCOL)("does not know %s in protocol/: %s", (what) => {
    expect(errors).toContain(fileOf(what));
  });

  it("finds fault with the planted files only", () => {
    const planted = new Set(UNKNOWN_IN_PROTOCOL.map(([what]) => fileOf(what)));
    expect(errors.filter((file) => !planted.has(file))).toEqual([]);
  });
});

describe("Biome", () => {
  let tree: string;
  const check = (...files: string[]): Promise<Outcome> =>
    tool("biome", ["check", "--error-on-warnings", ...files], tree);

  beforeAll(async () => {
    tree = await treeWith(REFUSED.map(([, , file, text]) => [file, text]));
  });

  it.each(REFUSED)("refuses %s (%s)", async (_, words, file) => {
    const { code, output } = await check(file);
    expect(output).toContain(words);
    expect(code, output).not.toBe(0);
  });

  it("lets the date of a given moment pass in protocol/, and the present one outside of it", async () => {
    const planted = await treeWith([
      ["protocol/given.ts", "export const epoch = new Date(0);\n"],
      ["src/present.ts", "export const now = Date.now();\n"],
    ]);
    const { code, output } = await tool("biome", ["check", "protocol/given.ts", "src/present.ts"], planted);
    expect(code, output).toBe(0);
  });
});
