import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { freePort } from "../../servers/free-port.ts";
import { Project } from "../../support/project.ts";

/** In every URL below: none of them may show it. */
const PASSWORD = "hunter2/@!";

let project: Project;

/** A module that makes an application. */
function application(settings: string): string {
  return `import { Celery } from "celeriac";\nexport const app = new Celery("shop", ${settings});\n`;
}

beforeAll(() => {
  project = new Project();
  project.write("tasks.mjs", application("{ brokerConnectionRetry: false }"));
});

afterAll(() => project[Symbol.asyncDispose]());

/** Starts a worker that must refuse to start, in one short explanation. */
async function refusal(args: string[], env: NodeJS.ProcessEnv = {}): Promise<{ code: number | null; said: string }> {
  const { code, output, milliseconds } = await project.celeriac(args, env);
  expect(output).not.toMatch(/^ +at /m);
  expect(output).not.toMatch(/hunter2|@!@/);
  expect(milliseconds).toBeLessThan(10_000);
  return { code, said: output.trim() };
}

describe.concurrent("a wrong setting says what is wrong, in which module, and what is allowed", () => {
  it.each([
    ["a name", "{ taskDefaultQueu: 'a' }", "There is no setting taskDefaultQueu. Did you mean taskDefaultQueue?"],
    ["a snake_case name", "{ task_acks_lat: true }", "There is no setting task_acks_lat. Did you mean taskAcksLate?"],
    [
      "a value of another kind",
      "{ workerConcurrency: '8' }",
      "Setting workerConcurrency cannot be '8': Invalid input: expected number, received string",
    ],
    [
      "none of the choices",
      "{ compatibility: '4.0' }",
      `Setting compatibility cannot be '4.0': Invalid option: expected one of "5.0"|"5.2"|"5.3"|"5.4"|"5.5"|"5.6"|"5.7"`,
    ],
    ["neither kind", "{ broker: 5 }", "Setting brokerUrl cannot be 5: Invalid input: expected string or array"],
    [
      "a list with a password in it",
      `{ broker: ["redis://:${PASSWORD}@host/0", 5] }`,
      "Setting brokerUrl cannot be [ 'redis://:**@host/0', 5 ]: Invalid input: expected string or string",
    ],
    ["a value that JSON has no form for", "{ resultExpires: 5n }", "Setting resultExpires cannot be 5n: Invalid input"],
    [
      "a serializer for results",
      "{ resultSerializer: 'jsn' }",
      "No encoder installed for jsn; there are: json, msgpack",
    ],
  ])("%s", async (name, settings, expected) => {
    const module = `${name.replaceAll(" ", "-")}.mjs`;
    project.write(module, application(settings));
    const { code, said } = await refusal(["-A", module, "worker"]);
    expect(said).toContain(expected);
    if (!expected.startsWith("No encoder")) expect(said).toContain(`Error: -A ${module}: `);
    expect(code).toBe(1);
  });
});

it("a call that does not fit the task is refused in Python's words", async () => {
  const task = 'app.task("tasks.add", (x, y) => x + y);\n';
  project.write("adding.mjs", `${application("{ broker: 'memory://' }")}${task}`);
  const { code, said } = await refusal(["-A", "adding.mjs", "call", "tasks.add", "--args", "[1]"]);
  expect(said).toBe("Error: add() missing 1 required positional argument: 'y'");
  expect(code).toBe(1);
});

it("comes with its stack when CELERIAC_DEBUG asks for it", async () => {
  project.write("debugged.mjs", application("{ broker: 5 }"));
  const { output } = await project.celeriac(["-A", "debugged.mjs", "worker"], { CELERIAC_DEBUG: "1" });
  expect(output).toMatch(
    /^ImproperlyConfigured: Setting brokerUrl cannot be 5.*(?:\n +at .*)*\n +at .*debugged\.mjs:2/m,
  );
});

describe.concurrent("a wrong module says where it was looked for, and what is the matter with it", () => {
  it("there is none", async () => {
    const { code, said } = await refusal(["-A", "./nowhere", "worker"]);
    const path = join(project.folder, "nowhere");
    expect(said).toBe(
      `Error: -A ./nowhere: there is no ${path} (.js, .mjs, .ts, .mts), and no package of that name to be seen from here`,
    );
    expect(code).toBe(2);
  });

  it("there is none to include", async () => {
    const { code, said } = await refusal(["-A", "tasks.mjs", "worker", "-I", "./more"]);
    expect(said).toContain("Error: -I ./more: there is no");
    expect(code).toBe(2);
    const none = await refusal(["-A", "tasks.mjs", "worker", "-I", "more/**/*.js"]);
    expect(none.said).toContain("Error: -I more/**/*.js: no file of .js, .mjs, .ts, .mts matches, seen from ");
    expect(none.code).toBe(2);
  });

  it.each([
    ["no application", "export const one = 1;", "", "exports no application (it exports one)"],
    ["nothing", "", "", "exports no application (it exports nothing)"],
    [
      "two applications",
      application("{}").replace("app", "one") + application("{}").replace(/^.*\n/, "").replace("app", "two"),
      "",
      "exports more than one application; say which one behind a colon (it exports one, two)",
    ],
    ["another name", application("{}"), ":shop", "exports no application called shop (it exports app)"],
  ])("it exports %s", async (name, text, asked, expected) => {
    const module = `exports-${name.replaceAll(" ", "-")}.mjs`;
    project.write(module, text);
    const { code, said } = await refusal(["-A", `${module}${asked}`, "report"]);
    expect(said).toContain(`Error: -A ${module}${asked}: `);
    expect(said).toContain(expected);
    expect(code).toBe(2);
  });

  it("it imports what is not there", async () => {
    project.write("imports.mjs", `import "celery-js";\n${application("{}")}`);
    const { code, said } = await refusal(["-A", "imports.mjs", "worker"]);
    expect(said).toContain("Error: -A imports.mjs: Cannot find package 'celery-js' imported from");
    expect(code).toBe(1);
  });

  it.each([
    ["JavaScript", "broken.mjs", "const one = 1;\nconst two = ;\n", "Unexpected token ';'", "const two = ;"],
    ["TypeScript", "broken.ts", "const one: number = 1;\nconst two: = 2;\n", "", "const two: = 2;"],
    ["TypeScript that cannot be erased", "enum.ts", "export const one = 1;\nenum Two {}\n", "enum", "enum Two {}"],
  ])("it is no %s: the line is shown", async (_, module, text, expected, line) => {
    project.write(module, text);
    const { code, said } = await refusal(["-A", `./${module}`, "worker"]);
    expect(said).toMatch(new RegExp(`${join(project.folder, module)}:2\\b`));
    expect(said).toContain(line);
    expect(said).toContain(expected);
    expect(code).toBe(1);
  });

  it("it throws: that is the application's own matter, shown with its own lines", async () => {
    project.write("throws.mjs", `function connect() {\n  throw new Error("no such host");\n}\nconnect();\n`);
    const { code, output } = await project.celeriac(["-A", "throws.mjs", "worker"]);
    expect(output).toMatch(/^Error: no such host\n +at connect .*throws\.mjs:2:9\)\n +at .*throws\.mjs:4:1$/m);
    expect(output).not.toContain("node:internal");
    expect(code).toBe(1);
  });
});

describe.concurrent("a wrong URL says what is wrong with it and what is allowed, without its password", () => {
  const broker = (url: string): string[] => ["-A", "tasks.mjs", "-b", url, "worker"];

  it.each([
    ["its scheme", `reds://shop:${PASSWORD}@host`, 'brokerUrl cannot be "reds://shop:**@host": it starts with one of'],
    ["no scheme", `shop:${PASSWORD}@host/0`, 'brokerUrl cannot be "**@host/0": it starts with one of redis://'],
    [
      "Redis's port",
      "redis://:hunter2@host:port/0",
      "redis://:**@host:port/0 is no Redis URL; they look like redis://",
    ],
    [
      "Redis's database",
      "redis://:hunter2@host/zero",
      "redis://:**@host/zero: the database must be a number from 0 up, not",
    ],
    ["Redis's password", `redis://:${PASSWORD}@host/0`, "In a password, / is written %2F."],
    ["Redis's password again", "redis://:@hunter2/@!@host/0", "In a password, / is written %2F."],
    [
      "RabbitMQ's port",
      "amqp://shop:hunter2@host:99999//",
      "amqp://shop:**@host:99999// is no AMQP URL: the port is a",
    ],
    ["RabbitMQ's password", `amqp://shop:${PASSWORD}@host//`, "in a password, / is written %2F"],
    ["RabbitMQ's parameter", "amqp://shop:hunter2@host?hartbeat=1", "the parameter hartbeat is none of heartbeat"],
  ])("%s", async (_, url, expected) => {
    const { code, said } = await refusal(broker(url));
    expect(said).toContain(expected);
    expect(code).toBe(1);
  });

  it("in the environment", async () => {
    const { code, said } = await refusal(["-A", "tasks.mjs", "worker"], { CELERY_BROKER_URL: "kafka://:hunter2@host" });
    expect(said).toContain('brokerUrl cannot be "kafka://:**@host"');
    expect(code).toBe(1);
  });

  it("of the result backend: the worker does not start", async () => {
    const results = ["--result-backend", "reddis://:hunter2@host/0"];
    const { code, said } = await refusal(["-A", "tasks.mjs", "-b", inject("redisUrl"), ...results, "worker"]);
    expect(said).toContain('resultBackend cannot be "reddis://:**@host/0": it starts with one of redis://');
    expect(code).toBe(1);
  });

  it.each(["redis", "amqp"])("of a %s broker where nobody listens, with retries off", async (scheme) => {
    const port = await freePort();
    const { code, said } = await refusal(broker(`${scheme}://shop:hunter2%2F%40@127.0.0.1:${port}/0`));
    expect(said).toBe(
      `Error: Cannot connect to ${scheme}://shop:**@127.0.0.1:${port}/0: connect ECONNREFUSED 127.0.0.1:${port}`,
    );
    expect(code).toBe(1);
  });

  it("of a broker that is away, to a command that asks once", async () => {
    const port = await freePort();
    for (const asked of [["status"], ["call", "tasks.add"], ["purge", "-f"]]) {
      const { code, said } = await refusal(["-b", `redis://:hunter2@127.0.0.1:${port}/0`, ...asked]);
      expect(said).toContain(`Cannot connect to redis://:**@127.0.0.1:${port}/0: connect ECONNREFUSED`);
      expect(code).toBe(asked[0] === "status" ? 69 : 1);
    }
  });
});

describe.concurrent("a file or port that cannot be had ends the start", () => {
  const worker = (...options: string[]): string[] => [
    "-A",
    "tasks.mjs",
    "-b",
    inject("redisUrl"),
    "worker",
    ...options,
  ];

  it("for the log", async () => {
    const { code, said } = await refusal(worker("-f", "tasks.mjs/worker.log"));
    expect(said).toMatch(/^Error: --logfile tasks\.mjs\/worker\.log: (?:ENOTDIR|EEXIST)/);
    expect(code).toBe(1);
  });

  it("for the process id", async () => {
    const { code, said } = await refusal(worker("--pidfile", "nowhere/worker.pid"));
    expect(said).toMatch(/^Error: --pidfile nowhere\/worker\.pid: ENOENT/);
    expect(code).toBe(1);
  });

  it("for health", async () => {
    const port = await freePort();
    const server = createServer().listen(port, "127.0.0.1");
    const { code, said } = await refusal(worker("--health", `127.0.0.1:${port}`));
    expect(said).toContain(`Error: --health 127.0.0.1:${port}: listen EADDRINUSE`);
    expect(code).toBe(1);
    server.close();
  });
});
