import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type Celery, group } from "../src/index.ts";
import { testApp } from "../test/support/app.ts";
import { eventually } from "../test/support/eventually.ts";
import { hasSqlite } from "../test/support/sqlite.ts";
import { type Fleet, fleet } from "./fleet.ts";

const within = { timeout: 20 };
const lacks = inject("python") === "" ? " (needs Python 3)" : "";

describe.skipIf(lacks)(`Celery's built-in tasks, served by TypeScript${lacks}`, () => {
  let both: Fleet;

  beforeAll(async () => {
    both = await fleet({}, {}, serve);
    await both.client.run(`
from celery.canvas import xmap, xstarmap, chunks
ts = lambda name, *args: signature("typescript." + name, args).set(queue=queue)
def built_in(name, *args, **kwargs):
    return signature("celery." + name, args, kwargs, queue=queue).apply_async()`);
  });

  afterAll(() => both?.[Symbol.asyncDispose]());

  it("celery.map calls a task for every item", async () => {
    const code = `xmap(ts("double"), [1, 2, 3]).apply_async(queue=queue).get(timeout=20)`;
    expect(await both.client.run(code)).toEqual([2, 4, 6]);
  });

  it("celery.starmap calls it with several arguments", async () => {
    const code = `xstarmap(ts("add"), [(1, 2), (3, 4)]).apply_async(queue=queue).get(timeout=20)`;
    expect(await both.client.run(code)).toEqual([3, 7]);
  });

  it("celery.map fails as the task does, and for a task that there is not", async () => {
    await expect(
      both.client.run(`xmap(ts("add"), [1]).apply_async(queue=queue).get(timeout=20)`),
    ).rejects.toMatchObject({ type: "TypeError" });
    await expect(
      both.client.run(`xmap(ts("unknown"), [1]).apply_async(queue=queue).get(timeout=20)`),
    ).rejects.toMatchObject({ type: "NotRegistered" });
  });

  it("celery.chunks sends the pieces, and its result says where theirs are", async () => {
    const code = `
from celery.result import result_from_tuple
sent = built_in("chunks", ts("add"), [(1, 1), (2, 2), (3, 3)], 2).get(timeout=20)
pieces = result_from_tuple(sent, app)
result = len(pieces.results)`;
    expect(await both.client.run(code)).toBe(2);
  });

  it("celery.accumulate gathers its arguments, or picks one, every value as it came", async () => {
    expect(await both.client.run(`built_in("accumulate", 1, 2).get(timeout=20)`)).toEqual([1, 2]);
    expect(await both.client.run(`repr(built_in("accumulate", [1.0, 2**70], index=0).get(timeout=20))`)).toBe(
      `[1.0, ${2n ** 70n}]`,
    );
    await expect(both.client.run(`built_in("accumulate", 1, index=3).get(timeout=20)`)).rejects.toThrow(
      "tuple index out of range",
    );
  });

  it("celery.accumulate stands behind a group that takes the place of a task", async () => {
    expect(await both.client.run(`ts("spread", 3).apply_async().get(timeout=20)`)).toEqual([0, 2, 4]);
  });

  it("celery.group sends its tasks, as old senders have it", async () => {
    const code = `
tasks = [ts("add", n).set(task_id=f"member-{n}-{queue}") for n in (1, 2)]
group_id = "group-" + queue
sent = built_in("group", tasks, [[group_id, None], [[[t.id, None], None] for t in tasks]], group_id, [10])
sent.get(timeout=20)
result = [AsyncResult(t.id).get(timeout=20) for t in tasks]`;
    expect(await both.client.run(code)).toEqual([11, 12]);
  });

  it("celery.chord sends a chord, as old senders have it", async () => {
    const code = `
body = ts("sum").set(task_id="body-" + queue)
sent = built_in("chord", [ts("add", 1, 1), ts("add", 2, 2)], body)
sent.get(timeout=20)
result = AsyncResult(body.id).get(timeout=20)`;
    expect(await both.client.run(code)).toBe(6);
  });

  it("celery.chain is no task, and says so", async () => {
    await expect(both.client.run(`built_in("chain").get(timeout=20)`)).rejects.toMatchObject({
      type: "NotImplementedError",
      args: ["'chain is not a real task'"],
    });
  });
});

const noSqlite = (await hasSqlite()) ? "" : " (needs Node.js 22.13 or better-sqlite3)";

describe("celery.backend_cleanup", () => {
  it.skipIf(noSqlite)(`drops what has expired from a database${noSqlite}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "celeriac-cleanup-"));
    const { app, start } = testApp({ backend: `db+sqlite:///${folder}/results.db`, resultExpires: 1 });
    serve(app);
    await start();
    const sent = await app.sendTask("typescript.add", [1, 1]);
    expect(await sent.get(within)).toBe(2);
    await eventually(async () => {
      await (await app.sendTask("celery.backend_cleanup")).get(within);
      return (await sent.state()) === "PENDING";
    });
    await app.close();
  });

  it("does nothing where results expire by themselves", async () => {
    const { app, start } = testApp();
    await start();
    expect(await (await app.sendTask("celery.backend_cleanup")).get(within)).toBeNull();
    await app.close();
  });
});

function serve(app: Celery): void {
  app.task("typescript.add", (x: number, y: number) => x + y);
  app.task("typescript.double", (x: number) => 2 * x);
  app.task("typescript.sum", (numbers: number[]) => numbers.reduce((sum, n) => sum + n, 0));
  app.task({ name: "typescript.spread", bind: true }, (self, count: number) => {
    throw self.replace(group(Array.from({ length: count }, (_, n) => app.signature("typescript.double", [n]))));
  });
}
