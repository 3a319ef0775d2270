import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Worker } from "../../../src/index.ts";
import { type TestApp, testApp } from "../../support/app.ts";
import type { Outcome } from "../../support/command.ts";
import { eventually } from "../../support/eventually.ts";
import { Project } from "../../support/project.ts";

let project: Project;
let test: TestApp;
let worker: Worker;

beforeAll(async () => {
  test = testApp();
  project = new Project();
  const { taskDefaultQueue, controlExchange, eventExchange, brokerUrl: broker } = test.app.settings;
  const settings = { broker, backend: broker, taskDefaultQueue, controlExchange, eventExchange };
  project.write(
    "tasks.mjs",
    `import { Celery } from "celeriac";
export const app = new Celery("shop", ${JSON.stringify(settings)});
app.inspectCommand({ name: "stock", signature: "<item>", args: [["item", String]], help: "How many are left." }, () => 0);
`,
  );
  test.app.task({ name: "tasks.add", rateLimit: "10/m" }, (x: number, y: number) => x + y);
  test.app.task("tasks.wait", (..._: unknown[]) => new Promise(() => {}));
  test.app.inspectCommand("stock", (_, { item }) => ({ [String(item)]: 3 }));
  worker = await test.start({ hostname: "shop@here" });
});

afterAll(async () => {
  await worker.terminate();
  await test.app.close();
  await project[Symbol.asyncDispose]();
});

const celeriac = (...args: string[]): Promise<Outcome> => project.celeriac(["-A", "tasks.mjs", ...args]);
const one = ["-d", "shop@here", "-t", "5"];

describe("inspect", () => {
  it("prints a list of texts, and how many are online", async () => {
    expect(await celeriac("inspect", "registered", ...one)).toMatchObject({
      code: 0,
      output: "shop@here: OK\n    * tasks.add [rate_limit=10/m]\n    * tasks.wait\n\n1 node online.\n",
    });
  });

  it("prints what has parts as a tree, and says so when there is nothing", async () => {
    const { output } = await celeriac("inspect", "stats", ...one);
    expect(output).toMatch(/^shop@here: OK\n {4}total: \{\}\n {4}pid: \d+\n/);
    expect(output).toMatch(/^ {4}pool:\n {8}implementation: celeriac:async\n {8}max-concurrency: 4$/m);
    expect((await celeriac("inspect", "scheduled", ...one)).output).toContain("    - empty -\n");
  });

  it("shows a task that runs, with its arguments", async () => {
    const { id } = await test.app.sendTask("tasks.wait", [1, { a: [2] }]);
    await eventually(() => worker.state.active.size === 1);
    const { output } = await celeriac("inspect", "active", ...one);
    expect(output).toMatch(new RegExp(`^ {4}\\* id: ${id}\\n {6}name: tasks.wait\\n {6}args:\\n {10}\\* 1\\n`, "m"));
    const { stdout } = await celeriac("inspect", "query_task", id, "--json", ...one);
    expect(JSON.parse(stdout)["shop@here"][id]).toMatchObject(["active", { args: [1, { a: [2] }] }]);
  });

  it("masks passwords in conf", async () => {
    const { stdout } = await celeriac("inspect", "conf", "true", "--json", ...one);
    expect(JSON.parse(stdout)["shop@here"]).toMatchObject({ security_key: null, task_default_routing_key: null });
  });

  it("knows the commands that the application added", async () => {
    expect((await celeriac("inspect", "stock", "apples", ...one)).output).toContain("shop@here: OK\n    apples: 3\n");
    const { output } = await celeriac("inspect", "--list");
    expect(output).toMatch(/^Inspect Commands:\n {2}active +List of tasks currently being executed\.\n/);
    expect(output).toMatch(/^ {2}stock <item> +How many are left\.$/m);
  });
});

describe("control", () => {
  it("does what it is told, and shows what the worker says", async () => {
    const said = await celeriac("control", "rate_limit", "tasks.add", "5/m", ...one);
    expect(said).toMatchObject({ code: 0, output: "shop@here: OK\n    new rate limit set successfully\n" });
    expect((await celeriac("inspect", "registered", ...one)).output).toContain("tasks.add [rate_limit=5/m]");
    expect((await celeriac("control", "pool_grow", "2", ...one)).output).toContain("pool will grow");
    expect(worker.concurrency).toBe(6);
  });

  it("shows an error as one", async () => {
    const { code, output } = await celeriac("control", "autoscale", "3", "1", ...one);
    expect(output).toBe("shop@here: ERROR\n    ValueError('Autoscale not enabled')\n");
    expect(code).toBe(0);
  });

  it("prints the replies as a list of JSON", async () => {
    const { stdout } = await celeriac("control", "heartbeat", "-j", ...one);
    expect(JSON.parse(stdout)).toEqual([{ "shop@here": null }]);
  });
});

describe("a mistake", () => {
  it.each([
    [["inspect", "pign"], 2, "Command pign not recognized. Did you mean ping? Available inspect commands: active, "],
    [["control", "ping"], 2, "ping is a command of `celeriac inspect`"],
    [["inspect"], 2, "Missing argument 'COMMAND'. `celeriac inspect --list` lists them"],
    [["inspect", "ping", "now"], 2, "Command 'ping' takes no arguments"],
    [["control", "pool_grow", "much"], 2, "n: 'much' is no whole number"],
    [["control", "time_limit", "a", "1", "2", "3"], 2, "takes arguments: <task_name> <soft_secs> [hard_secs]"],
    [["inspect", "ping", "-d", "nobody@here", "-t", "0.3"], 69, "No nodes replied within time constraint"],
  ])("%j ends with %i and says what is wrong", async (args, expected, said) => {
    const { code, output } = await celeriac(...args);
    expect(output).toContain(said);
    expect(code).toBe(expected);
  });
});
