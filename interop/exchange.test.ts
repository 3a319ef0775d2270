import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type Celery, chain, TaskError } from "../src/index.ts";
import { testApp } from "../test/support/app.ts";
import { PythonClient, PythonError, PythonWorker, runCelery } from "./python.ts";
import { type Sides, sidesOf, type Transport, transports } from "./transports.ts";
import { compatibilityOf } from "./versions.ts";

const within = { timeout: 20 };
const pythons = Object.entries(inject("pythons"));
const cases = pythons.flatMap(([version, python]) =>
  transports().map((transport) => ({ title: `Celery ${version} over ${transport.name}`, python, transport, version })),
);

describe.skipIf(pythons.length === 0)("Python and TypeScript exchange tasks and results (needs Python 3)", () => {
  it("is run against the reference version at least", () => {
    expect(pythons.length).toBeGreaterThan(0);
  });
});

for (const version of inject("missingPythons")) {
  it.skip(`Celery ${version} (needs a Python that it runs with, see interop/versions.json)`);
}

for (const { title, python, transport, version } of cases) {
  describe(title, () => exchange(python, transport, version));
}

function exchange(python: string, transport: Transport, version: string): void {
  let sides: Sides;
  let app: Celery;
  let client: PythonClient;
  let worker: PythonWorker;

  beforeAll(async () => {
    sides = sidesOf(transport, python);
    const test = testApp({ ...sides.settings, compatibility: compatibilityOf(version) });
    app = test.app;
    serve(app);
    client = new PythonClient(sides.python);
    const [started] = await Promise.all([PythonWorker.start(sides.python), test.start(), client.run(namesOf(sides))]);
    worker = started;
  });

  afterAll(async () => {
    await Promise.all([app?.close(), client?.[Symbol.asyncDispose](), worker?.[Symbol.asyncDispose]()]);
  });

  const onPython = (): { queue: string } => ({ queue: sides.queues.python });

  it("a header of more than 32 bits goes both ways", async () => {
    const queue = JSON.stringify(sides.queues.typescript);
    const id = await client.run<string>(
      `app.send_task("typescript.add", (1, 2), queue=${queue}, headers={"big": 2**40, "in": [{"big": -2**40}], "after": "L"}).id`,
    );
    if (transport.sharedResults) expect(await app.asyncResult(id).get(within)).toBe(3);
    // The worker goes on, whatever came.
    expect(await (await app.sendTask("typescript.add", [2, 2])).get(within)).toBe(4);
  });

  describe("TypeScript calls Python", () => {
    it("and gets the result", async () => {
      const add = app.remote<[number, number], number>("tasks.add", onPython());
      expect(await (await add.delay(2, 3)).get(within)).toBe(5);
    });

    it("with keywords", async () => {
      const result = await app.sendTask("tasks.keywords", [1], { kwargs: { c: 4, d: 5 }, ...onPython() });
      expect(await result.get(within)).toEqual({ a: 1, b: 2, args: [], c: 4, kwargs: { d: 5 } });
    });

    it("and gets Python's error", async () => {
      const result = await app.sendTask("tasks.out_of_stock", ["apple", 3], onPython());
      const error = await result.get(within).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(TaskError);
      expect(error).toMatchObject({ type: "OutOfStock", module: "tasks", args: ["apple", 3] });
      expect((error as TaskError).traceback).toContain("raise OutOfStock(item, left)");
    });

    it("through retries", async () => {
      expect(await (await app.sendTask("tasks.flaky", [2], onPython())).get(within)).toBe(2);
    });

    it("many times at once", async () => {
      const add = app.remote<[number, number], number>("tasks.add", onPython());
      const results = await Promise.all(Array.from({ length: 50 }, (_, n) => add.delay(n, n)));
      expect(await Promise.all(results.map((result) => result.get(within)))).toEqual(
        Array.from({ length: 50 }, (_, n) => 2 * n),
      );
    });

    it("and Python sees the request of a task that Celery sent", async () => {
      const result = await app.sendTask("tasks.request", [], { headers: { tenant: "a" }, ...onPython() });
      const request = (await result.get(within)) as Record<string, Record<string, unknown>>;
      expect(request).toMatchObject({
        id: result.id,
        root_id: result.id,
        parent_id: null,
        retries: 0,
        correlation_id: result.id,
        timelimit: [null, null],
      });
      expect(request.delivery_info?.routing_key).toBe(sides.queues.python);
      expect(request.tenant).toBe("a");
    });
  });

  describe("Python calls TypeScript", () => {
    it("and gets the result", async () => {
      const code = `app.send_task("typescript.add", (2, 3), queue=queue).get(timeout=20)`;
      expect(await client.run(code)).toBe(5);
    });

    it("with keywords", async () => {
      const code = `app.send_task("typescript.add", kwargs={"y": 3, "x": 2}, queue=queue).get(timeout=20)`;
      expect(await client.run(code)).toBe(5);
    });

    it("and gets an exception that it can catch", async () => {
      const code = `app.send_task("typescript.fail", ("no such thing",), queue=queue).get(timeout=20)`;
      const error = await client.run(code).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(PythonError);
      expect(error).toMatchObject({ type: "ValueError", module: "builtins", args: ["'no such thing'"] });
    });

    it("and gets TypeError for arguments that do not fit, as from Python", async () => {
      const code = `app.send_task("typescript.add", (1,), queue=queue).get(timeout=20)`;
      await expect(client.run(code)).rejects.toThrow("add() missing 1 required positional argument: 'y'");
    });

    it("and is told when no such task is registered", async () => {
      const code = `app.send_task("typescript.unknown", (), queue=queue).get(timeout=20)`;
      await expect(client.run(code)).rejects.toMatchObject({ type: "NotRegistered" });
    });

    it("and gets None from a task that returns nothing", async () => {
      expect(await client.run(`app.send_task("typescript.nothing", queue=queue).get(timeout=20)`)).toBeNull();
    });

    it("with a countdown", async () => {
      const code = `app.send_task("typescript.add", (1, 1), countdown=0.5, queue=queue).get(timeout=20)`;
      expect(await client.run(code)).toBe(2);
    });

    it("through retries", async () => {
      expect(await client.run(`app.send_task("typescript.flaky", (2,), queue=queue).get(timeout=20)`)).toBe(2);
    });
  });

  describe("a chain crosses the border twice", () => {
    it("when Python sends it", async () => {
      const code = `chain(
        py("add", 1, 2),
        ts("mul", 10),
        py("add", 5),
      )().get(timeout=20)`;
      expect(await client.run(code)).toBe(35);
    });

    it("and its members keep their own time to begin and to expire", async () => {
      // Options of a signature that JSON has no form for, or that JavaScript cannot tell from others.
      const code = `
from datetime import datetime, timedelta, timezone
soon = datetime.now(timezone(timedelta(hours=2))) + timedelta(seconds=0.5)
result = chain(
        ts("add", 1, 2),
        ts("mul", 10).set(eta=soon, expires=soon + timedelta(minutes=5)),
        ts("add", 5).set(expires=300.0, countdown=0.1),
      )().get(timeout=20)`;
      expect(await client.run(code)).toBe(35);
    });

    it("when TypeScript sends it", async () => {
      const add = app.remote<[number, number], number>("typescript.add", { queue: sides.queues.typescript });
      const sent = await chain(add.s(1, 2), app.remote("tasks.mul", onPython()).s(10), add.s(5)).applyAsync();
      expect(await sent.get(within)).toBe(35);
    });

    it("and stops at the first error", async () => {
      const sent = await chain(
        app.remote("typescript.add").s(1, 2),
        app.remote("tasks.fail", onPython()).s(),
        app.remote("typescript.add").s(5),
      ).applyAsync();
      await expect(transport.sharedResults ? sent.get(within) : sent.parent?.get(within)).rejects.toMatchObject({
        type: "ValueError",
      });
    });
  });

  const unable = transport.chords ? "" : " (skipped: results by rpc know no chords)";
  describe.runIf(transport.chords)(`a chord that Python sends${unable}`, () => {
    it("joins members of both languages, with a body in TypeScript", async () => {
      // Celery 5.0 sends no chord whose body it does not know, where results are not in Redis.
      if (version.startsWith("5.0."))
        await client.run('def body(numbers): pass\napp.task(body, name="typescript.sum")');
      const code = `chord(
        [py("add", 1, 1), ts("add", 2, 2),
         py("add", 3, 3), ts("add", 4, 4)],
        ts("sum"),
      )().get(timeout=20)`;
      expect(await client.run(code)).toBe(20);
    });

    it("joins members in TypeScript with a body in Python", async () => {
      const code = `chord(
        [ts("add", n, n) for n in range(5)], py("tsum"),
      )().get(timeout=20)`;
      expect(await client.run(code)).toBe(20);
    });

    it("fails its body when a member in TypeScript fails", async () => {
      const code = `chord(
        [py("add", 1, 1), ts("fail", "bad")],
        py("tsum"),
      )()`;
      await client.run(`body = ${code}`);
      await expect(client.run("AsyncResult(body.id).get(timeout=20)")).rejects.toMatchObject({ type: "ChordError" });
    });
  });

  const unshared = transport.sharedResults ? "" : " (skipped: only the sender can read a result)";
  describe.runIf(transport.sharedResults)(`TypeScript honours what Python asks for${unshared}`, () => {
    it("when a task succeeds: its link", async () => {
      const code = `
result = app.send_task("typescript.add", (1, 2), queue=queue, link=py("add", 10).set(task_id="linked-" + queue))
result = app.AsyncResult("linked-" + queue).get(timeout=20)`;
      expect(await client.run(code)).toBe(13);
    });

    it("when a task fails: its errback", async () => {
      const code = `
app.send_task("typescript.fail", ("bad",), task_id="failed-" + queue, queue=queue,
              link_error=ts("errback").set(task_id="errback-" + queue))
result = app.AsyncResult("errback-" + queue).get(timeout=20)`;
      expect(await client.run(code)).toBe(`failed-${sides.queues.typescript}`);
    });
  });

  const mute = /^5\.[0-2]\./.test(version) && transport.name === "a folder";
  const unheard = mute
    ? " (skipped: kombu has no fanout exchanges in a folder before 5.3, so Python's cannot either)"
    : "";

  it.skipIf(mute)(`Python's own command finds the TypeScript worker${unheard}`, async () => {
    const { code, output } = await runCelery(sides.python, ["inspect", "ping", "--timeout", "3"]);
    expect(output).toMatch(/worker-[0-9a-f]{8}@[^:]*: OK/);
    expect(output.match(/pong/g)).toHaveLength(2);
    expect(code).toBe(0);
  });

  it.skipIf(mute)(`TypeScript's control finds the Python worker${unheard}`, async () => {
    const replies = await app.control.ping({ timeout: 3 });
    expect(replies).toHaveLength(2);
    expect(replies.map((reply) => Object.values(reply)[0])).toEqual([{ ok: "pong" }, { ok: "pong" }]);
  });

  it("is run with the version that it names", async () => {
    expect(await client.run("__import__('celery').__version__")).toBe(version);
  });
}

/** Signatures that say where they are served, wherever they are sent from. */
function namesOf({ queues }: Sides): string {
  return `
queue = ${JSON.stringify(queues.typescript)}
def py(name, *args):
    return signature("tasks." + name, args).set(queue=${JSON.stringify(queues.python)})
def ts(name, *args):
    return signature("typescript." + name, args).set(queue=queue)
`;
}

function serve(app: Celery): void {
  app.task("typescript.add", (x: number, y: number) => x + y);
  app.task("typescript.mul", (x: number, y: number) => x * y);
  app.task("typescript.sum", (numbers: number[]) => numbers.reduce((sum, n) => sum + n, 0));
  app.task("typescript.errback", (id: string) => id);
  app.task("typescript.fail", (message: string) => {
    throw new RangeError(message);
  });
  app.task("typescript.nothing", () => {});
  app.task({ name: "typescript.flaky", bind: true }, (self, failures: number) => {
    if (self.request.retries < failures) throw self.retry({ countdown: 0.1 });
    return self.request.retries;
  });
}
