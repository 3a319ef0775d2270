import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, it } from "vitest";
import { parse } from "yaml";
import { freePort } from "../../test/servers/free-port.ts";
import { command } from "../../test/support/command.ts";
import { Project } from "../../test/support/project.ts";
import { exampleFolder } from "./example.ts";

const TASKS = `import { Celery } from "celeriac";
export const app = new Celery("shop", { taskDefaultQueue: "deployment" });
app.task("shop.greet", (name) => \`Hello, \${name}!\`);
`;

/** Runs the command of a deployment as it stands there, till it consumes, and stops it as it would be stopped. */
async function runs(args: readonly string[], healthPort?: number): Promise<Project> {
  const project = new Project();
  for (const file of ["tasks.js", "tasks.ts"]) project.write(file, TASKS);
  const url = inject("redisUrl");
  const worker = project.start(args, { CELERY_BROKER_URL: url, CELERY_RESULT_BACKEND: url });
  await worker.said(" ready.");
  if (healthPort) {
    const probe = await fetch(`http://127.0.0.1:${healthPort}/`);
    expect([probe.status, await probe.json()]).toMatchObject([200, { status: "ok" }]);
  }
  worker.signal("SIGTERM");
  expect(await worker.ended()).toBe(0);
  return project;
}

describe("examples/systemd", () => {
  const unit = readFileSync(join(exampleFolder("systemd"), "celeriac-worker.service"), "utf8");
  /** The values of a key, in order. */
  const values = (key: string): string[] =>
    unit.split("\n").flatMap((line) => (line.startsWith(`${key}=`) ? [line.slice(key.length + 1)] : []));

  it("is a unit that systemd accepts, or whose lines are settings in sections at least", async ({ annotate }) => {
    const project = new Project();
    project.write("celeriac-worker.service", unit.replace("/usr/bin/node", process.execPath));
    const verify = ["verify", "--man=no", "./celeriac-worker.service"];
    const told = await command("systemd-analyze", verify, { cwd: project.folder }).catch(() => undefined);
    if (told) expect(told).toMatchObject({ code: 0, output: "" });
    else await annotate("there is no systemd-analyze: the unit was only parsed");
    const lines = unit.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    for (const line of lines) expect(line).toMatch(/^(\[(Unit|Service|Install)\]|[A-Z][A-Za-z]+=.+)$/);
    await project[Symbol.asyncDispose]();
  });

  it("starts the worker by options that it has, and keeps its state where it may write", async () => {
    const [start = ""] = values("ExecStart");
    const [node, main, ...args] = start.split(" ");
    expect(node).toBe("/usr/bin/node");
    expect(main).toBe(`node_modules/celeriac/${JSON.parse(readFileSync("package.json", "utf8")).bin.celeriac}`);
    const project = await runs(args.map((arg) => arg.replace(/\$\{STATE_DIRECTORY\}/, ".").replaceAll("%%", "%")));
    expect(readFileSync(join(project.folder, "shop.json"), "utf8")).not.toBe("");
    await project[Symbol.asyncDispose]();
  });

  it("stops it warm, and gives it time", () => {
    expect(values("KillSignal")).toEqual(["SIGTERM"]);
    expect(values("KillMode")).toEqual(["mixed"]);
    expect(values("TimeoutStopSec")).toEqual(["10min"]);
  });
});

describe("examples/kubernetes", () => {
  const manifest = parse(readFileSync(join(exampleFolder("kubernetes"), "worker.yaml"), "utf8"));
  const { spec, metadata } = manifest.spec.template;
  const [container] = spec.containers;
  const { containerPort } = container.ports.find(({ name }: { name: string }) => name === "health");

  it("is a deployment whose parts fit together", () => {
    expect([manifest.apiVersion, manifest.kind]).toEqual(["apps/v1", "Deployment"]);
    expect(manifest.spec.selector.matchLabels).toEqual(metadata.labels);
    expect(spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(60);
    expect(container.args).toContain(`--health=0.0.0.0:${containerPort}`);
    for (const probe of [container.startupProbe, container.readinessProbe]) {
      expect(probe.httpGet).toEqual({ path: "/", port: "health" });
    }
    // One that kills workers whose broker is away would only do harm.
    expect(container.livenessProbe).toMatchObject({ tcpSocket: { port: "health" } });
  });

  it("starts the command that the Dockerfile has, by options that it has, and its probes are answered", async () => {
    const dockerfile = readFileSync(join(exampleFolder("docker"), "Dockerfile"), "utf8");
    expect(dockerfile).toContain(`CMD ["${container.command[0]}"`);
    const port = await freePort();
    const args = container.args.map((arg: string) => arg.replace(`0.0.0.0:${containerPort}`, `127.0.0.1:${port}`));
    await (await runs(args, port))[Symbol.asyncDispose]();
  });
});
