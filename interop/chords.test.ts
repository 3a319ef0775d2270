import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type Celery, ChordError, chain, chord, group, type Task, TaskError } from "../src/index.ts";
import { memcachedProgram, startMemcached } from "../test/servers/memcached.ts";
import { type TestApp, testApp } from "../test/support/app.ts";
import { eventually } from "../test/support/eventually.ts";
import { type DatabaseServer, databaseKinds } from "./databases.ts";
import { PythonClient, PythonError, PythonWorker } from "./python.ts";
import { type Sides, sidesOf } from "./transports.ts";

const within = { timeout: 40 };

/** Where results are kept, as each language is told. */
interface Results {
  typescript: string;
  python: string;
}

/** A place for results of its own for the tests of one backend. */
interface Place {
  name: string;
  lacks?: string | undefined;
  open(): Promise<{ results: Results; close?(): Promise<void> }>;
}

const both = (url: string): Results => ({ typescript: url, python: url });

async function places(): Promise<Place[]> {
  const databases = (await databaseKinds()).filter(({ name }) => name !== "MariaDB");
  return [
    { name: "Redis, which joins them itself", open: async () => ({ results: both(inject("redisUrl")) }) },
    {
      name: "a folder",
      open: async () => ({ results: both(`file://${mkdtempSync(join(tmpdir(), "celeriac-chords-"))}`) }),
    },
    {
      name: "three memcached",
      lacks: memcachedProgram() ? undefined : "memcached",
      open: async () => {
        const servers = await Promise.all([startMemcached(), startMemcached(), startMemcached()]);
        const addresses = servers.map(({ port }) => `127.0.0.1:${port}`);
        return {
          results: both(`cache+memcached://${addresses.join(";")}/`),
          close: async () => void (await Promise.all(servers.map((server) => server.stop()))),
        };
      },
    },
    ...databases.map(({ name, lacks, start }) => ({
      name,
      lacks,
      open: async () => {
        const server: DatabaseServer = await start();
        return { results: await server.fresh(), close: () => server.stop() };
      },
    })),
  ];
}

const needsPython = inject("python") === "" ? "Python 3" : undefined;

for (const { name, lacks = needsPython, open } of await places()) {
  describe.skipIf(lacks)(`chords with results in ${name}${lacks ? ` (needs ${lacks})` : ""}`, () => {
    let sides: Sides;
    let test: TestApp;
    let app: Celery;
    let client: PythonClient;
    let worker: PythonWorker;
    let close: (() => Promise<void>) | undefined;

    beforeAll(async () => {
      const place = await open();
      close = place.close;
      sides = sidesWith(place.results);
      test = testApp(sides.settings);
      app = test.app;
      serve(app);
      client = new PythonClient(sides.python);
      [worker] = await Promise.all([PythonWorker.start(sides.python), test.start(), client.run(namesOf(sides))]);
    });

    afterAll(async () => {
      await Promise.all([app?.close(), client?.[Symbol.asyncDispose](), worker?.[Symbol.asyncDispose]()]);
      await close?.();
    });

    const py = (task: string): Task => app.remote(`tasks.${task}`, { queue: sides.queues.python });
    const ts = (task: string): Task => app.remote(`typescript.${task}`, { queue: sides.queues.typescript });

    /** Python's chord: its result as `get()` gives it. */
    async function fromPython(code: string): Promise<unknown> {
      return client.run(`r = ${code}\nresult = r.get(timeout=40)`);
    }

    // Where parts are counted in memcached, only TypeScript names the member: Celery looks for it where it is not yet.
    const named = name.startsWith("Redis") ? "" : name.includes("memcached") ? "?" : "{0}";
    const reason = new RegExp(`^"?(Dependency [0-9a-f-]{36} raised )${named}ValueError\\('bad'\\)"?$`);

    it("of Python, with members in both languages and the body in TypeScript", async () => {
      const header = `[py("add", 1, 1), ts("add", 2, 2), py("add", 3, 3)]`;
      expect(await fromPython(`chord(${header}, ts("sum"))()`)).toBe(12);
    });

    it("of Python, with members in TypeScript and the body in Python", async () => {
      expect(await fromPython(`chord([ts("add", n, n) for n in range(4)], py("tsum"))()`)).toBe(12);
    });

    it("of TypeScript, with members in both languages and the body in Python", async () => {
      const sent = await chord([py("add").s(1, 1), ts("add").s(2, 2), py("add").s(3, 3)], py("tsum").s()).applyAsync();
      expect(await sent.get(within)).toBe(12);
    });

    it("of TypeScript, with members in Python and the body in TypeScript", async () => {
      const sent = await chord(group([py("add").s(1, 1), py("add").s(2, 2)]), ts("sum").s()).applyAsync();
      expect(await sent.get(within)).toBe(6);
    });

    it("give the body the results in the order of the header, whoever ends first", async () => {
      const sent = await chord([ts("later").s(0.3, "a"), py("echo").s("b"), ts("later").s(0, "c")], py("echo").s());
      expect(await (await sent.applyAsync()).get(within)).toEqual(["a", "b", "c"]);
    });

    it("in the middle of a chain, made by upgrading a group", async () => {
      const parts = group([py("add").s(1), ts("add").s(2)]);
      const sent = await chain(ts("add").s(1, 1), parts, py("tsum").s(), ts("add").s(10)).applyAsync();
      expect(await sent.get(within)).toBe(17);
      expect(await fromPython(`(py("add", 1, 1) | group(py("add", 1), ts("add", 2)) | ts("sum"))()`)).toBe(7);
    });

    it("within chords: a chord in the header, a chord as the body", async () => {
      const inner = chord([ts("add").s(1, 1), py("add").s(2, 2)], ts("sum").s());
      const sent = await chord([inner, py("add").s(3, 3)], py("tsum").s()).applyAsync();
      expect(await sent.get(within)).toBe(12);
      const code = `chord([ts("add", 1, 1), py("add", 2, 2)], chord([ts("pick", 0), py("tsum")], ts("sum")))()`;
      expect(await fromPython(code)).toBe(8);
    });

    it("of Python fail their body when a member in TypeScript fails, and say which", async () => {
      await client.run(`r = chord([py("add", 1, 1), ts("fail", "bad")], py("tsum"))()`);
      const error = await client.run("AsyncResult(r.id).get(timeout=40)").catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(PythonError);
      expect(error).toMatchObject({ type: "ChordError", module: "celery.exceptions" });
      const [text, ...more] = (error as PythonError).args as string[];
      expect(text).toMatch(reason);
      expect(more).toEqual([]);
      if (text?.includes("Dependency")) expect(text).toContain(await client.run("r.parent[1].id"));
    });

    it("of TypeScript fail their body when a member in Python fails, and say which", async () => {
      const sent = await chord([ts("add").s(1, 1), py("fail").s("bad")], ts("sum").s()).applyAsync();
      const error = await sent.get(within).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(ChordError);
      expect((error as ChordError).message).toMatch(reason);
    });

    it("call the errback of a body that never ran, in either language", async () => {
      for (const body of [ts("sum"), py("tsum")]) {
        const errback = ts("errback")
          .s()
          .set({ taskId: `errback-${crypto.randomUUID()}` });
        const sent = await chord([ts("fail").s("bad"), py("add").s(1, 1)], body.s().onError(errback)).applyAsync();
        const { task_id: id } = errback.toJSON().options;
        expect(await app.asyncResult(String(id)).get(within)).toBe(sent.id);
      }
    });

    it("leave the header's results alone when the body fails", async () => {
      const sent = await chord([ts("add").s(1, 1), py("add").s(2, 2)], ts("fail").s()).applyAsync();
      await expect(sent.get(within)).rejects.toMatchObject({ type: "ValueError" });
      expect(await sent.parent?.get(within)).toEqual([2, 4]);
      await expect(fromPython(`chord([ts("add", 1, 1), py("add", 2, 2)], py("fail"))()`)).rejects.toMatchObject({
        type: "ValueError",
      });
    });

    it("fail everything behind them in a chain, where TypeScript joins them", async () => {
      const sent = await chain(group([ts("fail").s("bad"), ts("add").s(1, 1)]), ts("sum").s(), py("add").s(1));
      await expect((await sent.applyAsync()).get(within)).rejects.toBeInstanceOf(TaskError);
    });

    it("give the body what the members returned as they returned it", async () => {
      const sent = await chord([py("echo").s(1), ts("echo").s(2n ** 70n)], py("describe").s()).applyAsync();
      expect(await sent.get(within)).toBe(`[1, ${2n ** 70n}]`);
      const described = `chord([py("echo", 1.0), py("echo", 0.1), ts("echo", -0.0)], py("describe"))()`;
      expect(await fromPython(described)).toBe("[1.0, 0.1, -0.0]");
    });

    it("of no members run their body at once", async () => {
      expect(await (await chord([], ts("sum").s()).applyAsync()).get(within)).toBe(0);
    });
  });
}

describe.skipIf(needsPython || inject("amqpUrl") === "")(
  "chords with results by rpc (needs RabbitMQ, Python 3)",
  () => {
    it("are refused by both languages in the same words", async () => {
      const sides = sidesOf(
        { name: "rpc", broker: inject("amqpUrl"), backend: "rpc://", sharedResults: false, chords: false },
        inject("python"),
      );
      await using client = new PythonClient(sides.python);
      const { app } = testApp(sides.settings);
      const told = await client
        .run(`chord([signature("tasks.add", (1, 1))], signature("tasks.tsum"))()`)
        .catch((error: PythonError) => error);
      expect(told).toMatchObject({ type: "NotImplementedError" });
      const sent = chord([app.signature("tasks.add", [1, 1])], app.signature("tasks.tsum")).applyAsync();
      const text = JSON.parse(`"${(told as PythonError).args[0]?.slice(1, -1).replaceAll('"', '\\"')}"`);
      await expect(sent).rejects.toThrow(text);
      await app.close();
    });
  },
);

describe("celery.chord_unlock", () => {
  it("stops when its retries are used up, and fails the body", async () => {
    const folder = mkdtempSync(join(tmpdir(), "celeriac-chords-"));
    const test = testApp({ backend: `file://${folder}`, resultChordRetryInterval: 0.1 });
    serve(test.app);
    await test.start();
    const slow = test.app.signature("typescript.later", [30, "never"], { queue: "nobody" });
    const body = test.app.signature("typescript.sum");
    const sent = await chord([slow], body).applyAsync([], { max_retries: 1 });
    const error = await sent.get(within).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ChordError);
    expect((error as ChordError).message).toMatch(/^chord_unlock could not be retried: MaxRetriesExceededError\(/);
    await eventually(() => test.logged("could not be retried").length > 0);
    await test.app.close();
  });
});

function sidesWith({ typescript, python }: Results): Sides {
  const broker = inject("redisUrl");
  const sides = sidesOf(
    { name: "Redis", broker, backend: typescript, sharedResults: true, chords: true },
    inject("python"),
  );
  const often = { result_chord_retry_interval: 0.1 };
  return {
    ...sides,
    settings: { ...sides.settings, ...often },
    python: { ...sides.python, backend: python, settings: { ...sides.python.settings, ...often } },
  };
}

/** Signatures that say where they are served. */
function namesOf({ queues }: Sides): string {
  return `
def py(name, *args):
    return signature("tasks." + name, args).set(queue=${JSON.stringify(queues.python)})
def ts(name, *args):
    return signature("typescript." + name, args).set(queue=${JSON.stringify(queues.typescript)})
`;
}

function serve(app: Celery): void {
  app.task("typescript.add", (x: number, y: number) => x + y);
  app.task("typescript.sum", (numbers: number[]) => numbers.reduce((sum, n) => sum + n, 0));
  app.task("typescript.pick", (numbers: number[], position: number) => numbers[position]);
  app.task("typescript.echo", (value: unknown) => value);
  app.task("typescript.errback", (id: string) => id);
  app.task("typescript.fail", (message: unknown) => {
    throw new RangeError(String(message));
  });
  app.task("typescript.later", async (seconds: number, value: unknown) => {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    return value;
  });
}
