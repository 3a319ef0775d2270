import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type Celery, chord, InflatedSizeExceeded } from "../src/index.ts";
import { testApp } from "../test/support/app.ts";
import { eventually } from "../test/support/eventually.ts";
import { PythonClient, PythonWorker } from "./python.ts";
import { type Sides, sidesOf, transports } from "./transports.ts";

const within = { timeout: 20 };
const python = inject("python");

/** kombu's methods, and what each calls itself in the header. */
const METHODS: Record<string, string> = {
  gzip: "application/x-gzip",
  zlib: "application/x-gzip",
  bzip2: "application/x-bz2",
  lzma: "application/x-lzma",
  brotli: "application/x-brotli",
  zstd: "application/zstd",
};

/** Text that compresses well, text that does not, and little. */
const TEXTS = ["x".repeat(100_000), randomBytes(20_000).toString("base64"), "", "grüße"];

describe.skipIf(python === "")("compression, with a real Python worker (needs Python 3)", () => {
  let sides: Sides;
  let app: Celery;
  let client: PythonClient;
  let worker: PythonWorker;
  const redis = new Redis(inject("redisUrl"), { lazyConnect: true });

  beforeAll(async () => {
    const [transport] = transports();
    if (!transport) throw new Error("no Redis");
    sides = sidesOf(transport, python);
    const test = testApp(sides.settings);
    app = test.app;
    serve(app);
    client = new PythonClient(sides.python);
    const names = `queue = ${JSON.stringify(sides.queues.typescript)}`;
    const [started] = await Promise.all([PythonWorker.start(sides.python), test.start(), client.run(names)]);
    worker = started;
  });

  afterAll(async () => {
    redis.disconnect();
    await Promise.all([app?.close(), client?.[Symbol.asyncDispose](), worker?.[Symbol.asyncDispose]()]);
  });

  const toPython = (): { queue: string } => ({ queue: sides.queues.python });

  describe.each(Object.entries(METHODS))("messages by %s", (method, contentType) => {
    it("go to Python", async () => {
      const sent = await app.sendTask("tasks.echo", [TEXTS], { ...toPython(), compression: method });
      expect(await sent.get(within)).toEqual(TEXTS);
    });

    it("come from Python", async () => {
      const code = `
sent = ["x" * 100000, "grüße" * 1000, ""]
result = app.send_task("typescript.echo", (sent,), queue=queue, compression=${JSON.stringify(method)}).get(timeout=20) == sent`;
      expect(await client.run(code)).toBe(true);
    });

    it("say so in their header, and are smaller", async () => {
      const nobody = `nobody-${method}-${sides.queues.python}`;
      await app.sendTask("tasks.echo", [TEXTS[0]], { queue: nobody, compression: method, ignoreResult: true });
      const message = JSON.parse((await redis.lindex(nobody, 0)) ?? "{}");
      expect(message.headers.compression).toBe(contentType);
      expect(message["content-type"]).toBe("application/json");
      expect(message.body.length).toBeLessThan(2000);
      await redis.del(nobody);
    });
  });

  describe.each(Object.keys(METHODS))("results by %s", (method) => {
    it("are written here and read by Python, which compresses nothing itself", async () => {
      const writing = testApp({
        ...sides.settings,
        taskDefaultQueue: `own-${method}-${sides.queues.typescript}`,
        resultCompression: method,
      });
      serve(writing.app);
      await writing.start();
      const code = `
sent = ["x" * 100000, "grüße"]
asked = app.send_task("typescript.echo", (sent,), queue=${JSON.stringify(writing.app.settings.taskDefaultQueue)})
result = [asked.get(timeout=20) == sent, asked.id]`;
      const [same, id] = await client.run<[boolean, string]>(code);
      expect(same).toBe(true);
      const stored = await redis.getBuffer(`celery-task-meta-${id}`);
      expect(stored?.subarray(0, 19).toString()).toBe("\0celery-compressed\0");
      expect(stored?.length).toBeLessThan(2000);
      // Waited for, asked for, and by one who has compression on and one who has not.
      for (const reader of [app, writing.app]) {
        expect(await reader.asyncResult(id).get(within)).toEqual(["x".repeat(100_000), "grüße"]);
      }
      const waited = await writing.app.sendTask("typescript.progress", ["y".repeat(5000)]);
      const states: unknown[] = [];
      expect(await waited.get({ ...within, onState: (_, info) => states.push((info as { done: number }).done) })).toBe(
        "done",
      );
      expect(states).toEqual([...states].sort());
      await writing.app.close();
    });
  });

  it("results that Python compresses are read, chords of both joined", async () => {
    const compressing = { ...sides.python, settings: { ...sides.python.settings, result_compression: "zlib" } };
    await using second = new PythonClient(compressing);
    await worker[Symbol.asyncDispose]();
    worker = await PythonWorker.start(compressing);
    const sent = await app.sendTask("tasks.echo", [TEXTS], toPython());
    expect(await sent.get(within)).toEqual(TEXTS);
    expect((await redis.getBuffer(`celery-task-meta-${sent.id}`))?.[0]).toBe(0);
    const own = testApp({
      ...sides.settings,
      taskDefaultQueue: `chord-${sides.queues.typescript}`,
      resultCompression: "zlib",
    });
    serve(own.app);
    await own.start();
    const members = [own.app.remote("typescript.add").s(1, 1), own.app.remote("tasks.add", toPython()).s(2, 2)];
    const joined = await chord(members, own.app.remote<[number[]], number>("tasks.tsum", toPython()).s()).applyAsync();
    expect(await joined.get(within)).toBe(6);
    const code = `chord([
      signature("tasks.add", (1, 1)).set(queue=${JSON.stringify(sides.queues.python)}),
      signature("typescript.add", (2, 2)).set(queue=${JSON.stringify(own.app.settings.taskDefaultQueue)}),
    ], signature("typescript.sum").set(queue=${JSON.stringify(own.app.settings.taskDefaultQueue)}))().get(timeout=20)`;
    expect(await second.run(code)).toBe(6);
    await own.app.close();
  });

  describe("a bomb", () => {
    it("in a message is refused, its task failed, and the worker goes on", async () => {
      const code = `
import zlib
sent = app.send_task("typescript.echo", ("x" * (300 << 20),), queue=queue, compression="zlib")
try:
    result = sent.get(timeout=50)
except Exception as exc:
    result = [type(exc).__name__, str(exc)]`;
      const [type, text] = await client.run<[string, string]>(code);
      expect(type).toBe("DecodeError");
      expect(text).toContain("inflates to more than 268435456 bytes, the setting inflatedSizeLimit");
      expect(await client.run(`app.send_task("typescript.echo", (1,), queue=queue).get(timeout=20)`)).toBe(1);
    });

    it("in a result is refused, where a larger limit reads it", async () => {
      const small = testApp({ ...sides.settings, inflatedSizeLimit: 10_000 });
      const sent = await small.app.sendTask("tasks.echo", ["x".repeat(100_000)], toPython());
      await expect(sent.get(within)).rejects.toBeInstanceOf(InflatedSizeExceeded);
      expect(await app.asyncResult(sent.id).get(within)).toHaveLength(100_000);
      await small.app.close();
    });
  });

  it("a method that nobody has is refused where it is named", async () => {
    await expect(app.sendTask("tasks.add", [1, 2], { ...toPython(), compression: "snappy" })).rejects.toThrow(
      "there are: gzip",
    );
    const wrong = testApp({ ...sides.settings, resultCompression: "snappy" });
    await expect(wrong.app.backend()).rejects.toThrow("Setting resultCompression: No compression of type snappy");
    await wrong.app.close();
    const old = testApp({ ...sides.settings, resultCompression: "gzip", compatibility: "5.3" });
    await expect(old.app.backend()).rejects.toThrow("only Celery 5.7 reads compressed results");
    await old.app.close();
  });

  it("a backend that cannot hold compressed results says that it leaves them alone", async () => {
    // A queue of its own: the suite's worker, whose results go elsewhere, must not take the task.
    const taskDefaultQueue = `memory-${sides.queues.typescript}`;
    const test = testApp({ ...sides.settings, taskDefaultQueue, backend: "memory://", resultCompression: "gzip" });
    serve(test.app);
    await test.start();
    expect(await (await test.app.sendTask("typescript.add", [1, 2])).get(within)).toBe(3);
    await eventually(() => test.logged("cannot store compressed results: resultCompression is ignored").length > 0);
    await test.app.close();
  });
});

function serve(app: Celery): void {
  app.task("typescript.echo", (value: unknown) => value);
  app.task("typescript.add", (x: number, y: number) => x + y);
  app.task("typescript.sum", (numbers: number[]) => numbers.reduce((sum, n) => sum + n, 0));
  app.task({ name: "typescript.progress", bind: true }, async (self, ballast: string) => {
    for (let done = 1; done <= 5; done++) await self.updateState({ state: "PROGRESS", meta: { done, ballast } });
    return "done";
  });
}
