import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { Celery, chain, TaskError } from "../src/index.ts";
import { eventually } from "../test/support/eventually.ts";
import { Containers } from "./containers.ts";

const within = { timeout: 60 };
const python = { queue: "python" };
const typescript = { queue: "typescript" };
const shared = { queue: "shared" };

/** Minutes where base images have to be made from packages first. */
const FRESH_MACHINE_MS = 900_000;
let containers: Containers | undefined;

beforeAll(async () => {
  containers = await Containers.up(inject("tarball"));
}, FRESH_MACHINE_MS);

afterAll(async () => {
  await containers?.[Symbol.asyncDispose]();
}, 60_000);

beforeEach(({ skip }) => {
  skip(!containers, "no container engine can be had here");
});

describe.each(["redis", "rabbitmq"])("workers in containers over %s", (broker) => {
  let app: Celery;

  beforeAll(async () => {
    if (!containers) return;
    const redis = await containers.address("redis", 6379);
    const rabbit = await containers.address("rabbitmq", 5672);
    app = new Celery("interop", {
      broker: broker === "redis" ? `redis://${redis}/0` : `amqp://guest:guest@${rabbit}//`,
      backend: broker === "redis" ? `redis://${redis}/1` : `redis://${redis}/2`,
      brokerTransportOptions: broker === "redis" ? { visibility_timeout: 5 } : {},
    });
    // Both are up before a message chooses one of them.
    await eventually(async () => (await app.control.ping({ timeout: 1 })).length === 2, 60_000);
  }, 90_000);

  afterAll(async () => {
    await app?.close();
  });

  /** Runs Python in the Python worker's container, with what `python/client.py` has in scope. */
  async function inPython(code: string): Promise<unknown> {
    const ask = `import json; from tasks import app; from celery import chain, signature; print(json.dumps(${code}))`;
    const output = await there().compose("exec", "-T", `python-${broker}`, "python", "-c", ask);
    return JSON.parse(output.trim().split("\n").at(-1) ?? "");
  }

  function there(): Containers {
    if (!containers) throw new Error("no containers");
    return containers;
  }

  it("Python runs what TypeScript sends from outside", async () => {
    expect(await (await app.sendTask("tasks.add", [2, 3], python)).get(within)).toBe(5);
    const failed = await (await app.sendTask("tasks.fail", ["broken"], python)).get(within).catch((e: unknown) => e);
    expect(failed).toBeInstanceOf(TaskError);
    expect(failed).toMatchObject({ type: "ValueError", message: "broken" });
  });

  it("celeriac runs what Python sends from its container", async () => {
    expect(await inPython(`app.send_task("tasks.add", (2, 3), queue="typescript").get(timeout=20)`)).toBe(5);
  });

  it("a chain crosses the border twice", async () => {
    const add = app.remote<[number, number], number>("tasks.add");
    const signature = chain(add.s(1, 2).set(python), add.s(3).set(typescript), add.s(4).set(python));
    expect(await (await signature.applyAsync()).get(within)).toBe(10);
    const code = `chain(*(signature("tasks.add", args, queue=queue) for args, queue in
      [((1, 2), "typescript"), ((3,), "python"), ((4,), "typescript")]))().get(timeout=20)`;
    expect(await inPython(code)).toBe(10);
  });

  it("both workers take turns on one queue", async () => {
    const sent = await Promise.all(Array.from({ length: 60 }, () => app.sendTask("tasks.whoami", [], shared)));
    const hosts = await Promise.all(sent.map((result) => result.get(within)));
    expect(new Set(hosts.map((host: string) => host.split("@")[0]))).toEqual(new Set(["python", "celeriac"]));
    expect(hosts).toHaveLength(60);
  });

  it("an acks_late task whose Python worker is killed runs again when that worker is back", async () => {
    const result = await app.sendTask("tasks.acks_late_sleep", [2, "survived"], python);
    await eventually(async () => (await result.state()) === "STARTED", 20_000);
    const id = await there().id(`python-${broker}`);
    await there().docker("kill", id);
    await there().docker("start", id);
    expect(await result.get(within)).toBe("survived");
  }, 90_000);

  it("celeriac finishes an acks_late task that a killed Python worker had begun", async () => {
    const [theirs, ours] = [await there().id(`python-${broker}`), await there().id(`celeriac-${broker}`)];
    // So that the task begins in Python.
    await there().docker("stop", ours);
    const result = await app.sendTask("tasks.acks_late_sleep", [2, "taken over"], shared);
    await eventually(async () => (await result.state()) === "STARTED", 20_000);
    await there().docker("kill", theirs);
    await there().docker("start", ours);
    expect(await result.get(within)).toBe("taken over");
    await there().docker("start", theirs);
  }, 90_000);

  it("docker stop lets a celeriac worker finish what runs", async () => {
    const result = await app.sendTask("tasks.sleep", [3], typescript);
    await eventually(async () => (await result.state()) === "STARTED", 20_000);
    const id = await there().id(`celeriac-${broker}`);
    await there().docker("stop", "--time", "20", id);
    expect(await result.get({ timeout: 1 })).toBe(3);
    expect((await there().docker("inspect", "--format", "{{.State.ExitCode}}", id)).trim()).toBe("0");
    await there().docker("start", id);
  });

  it("a celeriac worker runs as nobody special and is process 1", async () => {
    const id = await there().id(`celeriac-${broker}`);
    const status = await there().docker("exec", id, "cat", "/proc/1/status");
    expect(status).toMatch(/^Name:\s+(node|MainThread|celeriac)/m);
    expect(status).toMatch(/^Uid:\s+1000\s/m);
  });
});
