import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import Docker from "dockerode";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import type { Celery } from "../../src/index.ts";
import { testApp } from "../../test/support/app.ts";
import { eventually } from "../../test/support/eventually.ts";
import type { RunningCommand } from "../../test/support/project.ts";
import { PythonClient } from "../python.ts";
import { sidesOf, transports } from "../transports.ts";
import { Example } from "./example.ts";

const SCRIPTS = join(import.meta.dirname, "../containers");
const within = { timeout: 60 };
/** Minutes where the image has to be made from packages first. */
const FRESH_MACHINE_MS = 900_000;

/** Where an engine answers; undefined where none can be had. */
async function engine(): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(join(SCRIPTS, "engine"), ["up"]);
    return /DOCKER_HOST=(\S+)/.exec(stdout)?.[1];
  } catch (error) {
    if ((error as { code?: unknown }).code === 75) return undefined;
    throw error;
  }
}

/** A small image with a shell that the engine has or can make. */
async function image(host: string): Promise<string> {
  const env = { ...process.env, DOCKER_HOST: host };
  const script = `${join(SCRIPTS, "base-images")} redis >&2 && eval "$(${join(SCRIPTS, "base-images")} env)" && echo "$REDIS_IMAGE"`;
  const { stdout } = await promisify(execFile)("bash", ["-c", script], { env, maxBuffer: 64 * 1024 * 1024 });
  return stdout.trim();
}

describe("examples/containers (needs a container engine)", () => {
  let host: string | undefined;
  let docker: Docker;
  let name: string;
  let app: Celery;
  let example: Example;
  let worker: RunningCommand;
  let queue: string;
  let client: PythonClient | undefined;

  const start = (): Promise<RunningCommand> =>
    example
      .start(["-A", "./worker.ts", "worker", "-l", "INFO", "-Q", queue, "-n", "containers@here", "-c", "4"], {
        CELERY_BROKER_URL: String(app.settings.brokerUrl),
        CELERY_RESULT_BACKEND: String(app.settings.resultBackend),
        DOCKER_HOST: host,
        IMAGES: `${name},celeriac/nothing`,
      })
      .said(" ready.");

  beforeAll(async () => {
    host = await engine();
    if (!host) return;
    docker = new Docker({ socketPath: host.replace(/^unix:\/\//, "") });
    name = await image(host);
    const [redis] = transports();
    if (!redis) throw new Error("no Redis");
    const sides = sidesOf(redis, inject("python"));
    queue = sides.queues.typescript;
    // The worker has no settings but its environment's.
    app = testApp({ ...sides.settings, controlExchange: "celery", eventExchange: "celeryev" }).app;
    if (inject("python")) client = new PythonClient({ ...sides.python, settings: {} });
    example = new Example("containers", "dockerode", "zod");
    worker = await start();
  }, FRESH_MACHINE_MS);

  afterAll(async () => {
    await client?.[Symbol.asyncDispose]();
    await app?.close();
    await example?.[Symbol.asyncDispose]();
  });

  beforeEach(({ skip }) => {
    skip(!host, "no container engine can be had here");
  });

  const run = (command: string, options: object = {}, more: object = {}): ReturnType<Celery["sendTask"]> =>
    app.sendTask("containers.run", [], {
      queue,
      kwargs: { image: name, command: ["sh", "-c", command], memory: 64, cpus: 0.5, ...more },
      ...options,
    });
  const left = async (): Promise<number> =>
    (await docker.listContainers({ all: true, filters: { label: ["celeriac.worker=containers@here"] } })).length;
  const begun = (task: { state(): Promise<string> }): Promise<unknown> =>
    eventually(async () => (await task.state()) === "PROGRESS", 30_000);

  it("runs a command with its environment, and gives what it printed", async () => {
    const task = await run("echo $GREETING; echo trouble >&2", {}, { env: { GREETING: "hello" } });
    const { exit_code, output } = await task.get(within);
    expect([exit_code, output.sort()]).toEqual([0, ["hello", "trouble"]]);
    expect(await left()).toBe(0);
  });

  it("tells of its lines while it runs", async () => {
    const task = await run("echo one; echo two; sleep 2");
    await begun(task);
    await eventually(async () => (await task.info())?.lines === 2);
    expect(await task.info()).toEqual({ lines: 2, last: ["one", "two"] });
    expect(await task.get(within)).toMatchObject({ exit_code: 0 });
  });

  it("fails with the exit code and the last lines, and for an image that may not be run or is not there", async () => {
    await expect((await run("echo no; exit 3")).get(within)).rejects.toMatchObject({
      type: "ContainerFailed",
      module: "containers",
      args: [3, ["no"]],
    });
    await expect((await run("true", {}, { image: "evil:latest" })).get(within)).rejects.toMatchObject({
      type: "ValidationError",
      message: expect.stringContaining("image"),
    });
    await expect((await run("true", {}, { image: "celeriac/nothing" })).get(within)).rejects.toThrow(/no such image/i);
    expect(await left()).toBe(0);
  });

  it("holds the limits", async () => {
    const task = await run(
      "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; ls /sys/class/net",
    );
    expect((await task.get(within)).output).toEqual([String(64 * 1024 * 1024), "lo"]);
    const greedy = await run("x=a; while true; do x=$x$x; done");
    await expect(greedy.get(within)).rejects.toMatchObject({ type: "ContainerFailed" });
  });

  it("removes the container when the task is revoked, by Python too", async () => {
    const task = await run("echo begun; sleep 600");
    await begun(task);
    expect(await left()).toBe(1);
    if (client) await client.run(`app.control.revoke("${task.id}", terminate=True)`);
    else await app.control.revoke(task.id, { terminate: true });
    await expect(task.get(within)).rejects.toThrow("terminated");
    await eventually(async () => (await left()) === 0, 20_000);
  });

  it("removes the container when the task takes too long", async () => {
    const hard = await run("sleep 600", { timeLimit: 2 });
    await expect(hard.get(within)).rejects.toMatchObject({ type: "TimeLimitExceeded" });
    const soft = await run("sleep 600", { softTimeLimit: 1 });
    await expect(soft.get(within)).rejects.toMatchObject({ type: "SoftTimeLimitExceeded" });
    await eventually(async () => (await left()) === 0, 20_000);
  });

  it("removes what a killed worker left behind, when it starts again", async () => {
    const task = await run("echo begun; sleep 600");
    await begun(task);
    await worker.kill();
    expect(await left()).toBe(1);
    worker = await start();
    await eventually(async () => (await left()) === 0, 20_000);
  });
});
