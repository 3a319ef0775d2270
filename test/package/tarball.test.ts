import { copyFile, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { describe, expect, inject, it } from "vitest";
import { command, succeed } from "../support/command.ts";
import { ROOT } from "../support/tree.ts";

const tarball = inject("tarball");
const installed = inject("installed");
const bin = (name: string): string => join(ROOT, "node_modules/.bin", name);

/** What a module run in the empty project writes, as JSON. */
async function evaluate(code: string): Promise<unknown> {
  return JSON.parse(await succeed("node", ["--input-type=module", "--eval", code], { cwd: installed }));
}

/** Each module under a folder, and its types, as they are called in the tarball. */
async function builtFrom(folder: string): Promise<string[]> {
  const names = await readdir(join(ROOT, folder), { recursive: true });
  const modules = names.filter((name) => /(?<![.]d)[.]ts$/.test(name)).map((name) => name.replace(/[.]ts$/, ""));
  return modules.flatMap((name) => [`dist/${folder}/${name}.js`, `dist/${folder}/${name}.d.ts`]);
}

describe("the tarball", () => {
  it("holds every built module with its types, what npm wants to show, and nothing else", async () => {
    const listed = (await succeed("tar", ["-tzf", tarball], { cwd: installed })).trim().split("\n");
    const built = [...(await builtFrom("protocol")), ...(await builtFrom("src"))];
    const shown = ["README.md", "LICENSE", "CHANGELOG.md", "package.json"];
    expect(listed.map((file) => file.replace(/^package\//, "")).sort()).toEqual([...built, ...shown].sort());
  });

  it("gives publint nothing to say", async () => {
    const bytes = new Uint8Array(await readFile(tarball));
    const { messages, pkg } = await publint({ strict: true, pack: { tarball: bytes.buffer } });
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
  });

  it("has the right types behind every door, says arethetypeswrong", async () => {
    const { code, output } = await command(bin("attw"), [tarball, "--profile", "esm-only"], { cwd: installed });
    expect(code, output).toBe(0);
  });
});

describe("an empty project with the tarball installed", () => {
  it("comes in by both doors, which share their classes", async () => {
    const code = `
      import * as celeriac from "celeriac";
      import * as protocol from "celeriac/protocol";
      const shared = ["DateTime", "Decimal", "Float", "UUID", "CeleryError", "EncodeError"];
      const text = protocol.dumps({ one: new celeriac.Float(1) });
      const same = shared.filter((name) => celeriac[name] && celeriac[name] === protocol[name]);
      console.log(JSON.stringify({ celery: typeof celeriac.Celery, text, same }));`;
    const same = ["DateTime", "Decimal", "Float", "UUID", "CeleryError", "EncodeError"];
    expect(await evaluate(code)).toEqual({ celery: "function", text: '{"one": 1.0}', same });
  });

  it("finds no other door", async () => {
    const code = `
      const doors = ["celeriac/dist/src/index.js", "celeriac/src/index.ts", "celeriac/protocol/index.js"];
      const failures = await Promise.all(doors.map((door) => import(door).catch((error) => error.code)));
      console.log(JSON.stringify(failures));`;
    expect(await evaluate(code)).toEqual(Array(3).fill("ERR_PACKAGE_PATH_NOT_EXPORTED"));
  });

  it("loads a driver when it is asked for, and that one only", async () => {
    const code = `
      import { createRequire } from "node:module";
      import { Celery } from "celeriac";
      const { cache } = createRequire(import.meta.url);
      const drivers = () => ["amqplib", "ioredis", "pg"].filter((name) =>
        Object.keys(cache).some((file) => file.includes("/node_modules/" + name + "/")));
      const app = new Celery("lazy", { broker: "amqp://localhost", backend: "redis://localhost/0" });
      const steps = [drivers()];
      await app.broker();
      steps.push(drivers());
      await app.backend();
      steps.push(drivers());
      console.log(JSON.stringify(steps));
      process.exit();`;
    expect(await evaluate(code)).toEqual([[], ["amqplib"], ["amqplib", "ioredis"]]);
  });

  it("says what to install for a database whose driver is not there", async () => {
    const code = `
      import { Celery } from "celeriac";
      const backends = ["db+mysql+pymysql://me:hidden@localhost/x", "db+sqlite:///results.db", "db+oracle://localhost/x"];
      const opened = async (backend) => (await new Celery("bare", { backend }).backend()).url;
      const said = backends.map((backend) => opened(backend).catch((error) => error.name + ": " + error.message));
      console.log(JSON.stringify(await Promise.all(said)));
      process.exit();`;
    expect(await evaluate(code)).toEqual([
      "ImproperlyConfigured: db+mysql:// needs a driver that is not installed: npm install mysql2",
      expect.stringMatching(/npm install better-sqlite3, or use Node[.]js 22[.]13|^db[+]sqlite:/),
      expect.stringMatching(/^ImproperlyConfigured: resultBackend cannot be .*db[+]postgresql:/),
    ]);
  });

  it("has the command", async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
    const cwd = installed;
    expect(await succeed("npx", ["--no-install", "celeriac", "--version"], { cwd })).toBe(`${version}\n`);
  });

  it.each([
    ["nodenext", ["--module", "nodenext"]],
    ["bundler", ["--module", "esnext", "--moduleResolution", "bundler"]],
  ])("compiles every call of the public API, by %s resolution", async (_, resolution) => {
    await copyFile(join(ROOT, "test/types/public-api.ts"), join(installed, "public-api.ts"));
    const options = ["--noEmit", "--strict", "--target", "es2022", "--types", "node", ...resolution];
    const { code, output } = await command(bin("tsc"), [...options, "public-api.ts"], { cwd: installed });
    expect(code, output).toBe(0);
  });
});
