import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, inject, it } from "vitest";
import type { Celery } from "../src/index.ts";
import { testApp } from "../test/support/app.ts";
import { eventually } from "../test/support/eventually.ts";
import { Project } from "../test/support/project.ts";
import { PythonWorker } from "./python.ts";
import { sidesOf, type Transport, transports } from "./transports.ts";

const python = inject("python");
const KINDS = ["ok", "hook", "fail", "unready", "expected", "retry", "ignore", "reject", "limit", "expired", "revoked"];

/** The lines that a worker's hooks and signals wrote, in their order, by the task that they are about. */
type Told = Record<string, string[]>;

function toldIn(file: string): Told {
  const told: Told = {};
  for (const line of readFileSync(file, { flag: "a+", encoding: "utf8" }).split("\n").slice(0, -1)) {
    const [about = "", ...words] = line.split(" ");
    told[about] = [...(told[about] ?? []), words.join(" ")];
  }
  return told;
}

/** Has a worker do every kind of thing, one after the other, and stops it. */
async function scenario(app: Celery, queue: string, file: string, stop: () => Promise<unknown>): Promise<Told> {
  const send = (kind: string, options: object = {}): Promise<unknown> =>
    app.sendTask("lifecycle.run", [kind], { taskId: kind, queue, kwargs: { by: 3 }, ...options });
  await app.control.revoke("revoked");
  const last: Record<string, string> = { expired: "task_revoked", revoked: "task_revoked", limit: "task_failure" };
  for (const kind of KINDS) {
    if (kind === "limit") await app.sendTask("lifecycle.run", ["sleep"], { taskId: kind, queue, timeLimit: 1 });
    else await send(kind, kind === "expired" ? { expires: -1 } : {});
    const end = last[kind] ?? "task_postrun";
    const isOver = (words: string): boolean => words.startsWith(end) && !words.endsWith("RETRY");
    await eventually(() => toldIn(file)[kind]?.some(isOver), 20_000);
  }
  await app.sendTask("lifecycle.nobody", [], { taskId: "unknown", queue });
  await eventually(() => toldIn(file).unknown);
  await stop();
  return toldIn(file);
}

describe.skipIf(!python)("hooks and signals, as Python's worker calls them (needs Python 3)", () => {
  const [redis, rabbit] = transports().filter(({ name }) => !name.includes("in Redis"));
  let theirs: Told;

  /** @param start a worker on the queue `python` of the sides, told where to write */
  async function told(
    transport: Transport,
    start: (side: ReturnType<typeof sidesOf>["python"]) => Promise<() => Promise<unknown>>,
  ): Promise<Told> {
    const sides = sidesOf(transport, python);
    const file = join(mkdtempSync(join(tmpdir(), "celeriac-told-")), "told");
    const client = testApp(sides.settings).app;
    const stop = await start({ ...sides.python, env: { CELERIAC_TOLD: file } });
    try {
      return await scenario(client, sides.queues.python, file, stop);
    } finally {
      await client.close();
    }
  }

  const fromCeleriac = (transport: Transport, pool: string): Promise<Told> =>
    told(transport, async (side) => {
      const project = new Project();
      project.write("lifecycle.ts", readFileSync(join(import.meta.dirname, "typescript/lifecycle.ts"), "utf8"));
      const args = ["-A", "./lifecycle", "worker", "-l", "INFO", "-n", "told@here", "-P", pool, "-c", "1"];
      const worker = project.start(args, {
        ...side.env,
        CELERY_BROKER_URL: side.broker,
        CELERY_RESULT_BACKEND: side.backend,
        CELERIAC_TASK_QUEUE: side.queue,
        CELERIAC_SETTINGS: JSON.stringify(side.settings ?? {}),
      });
      await worker.said(" ready.");
      return async () => {
        worker.signal("SIGTERM");
        await worker.ended();
        await project[Symbol.asyncDispose]();
      };
    });

  beforeAll(async () => {
    theirs = await told(redis as Transport, async (side) => {
      const app = { module: "lifecycle", folder: join(import.meta.dirname, "python") };
      const worker = await PythonWorker.start({ ...side, app }, ["-c", "1", "-n", "told@here"]);
      return () => worker[Symbol.asyncDispose]();
    });
  });

  it("Python's own worker calls those that are compared here", () => {
    expect(theirs.ok).toEqual([
      "task_received lifecycle.run",
      "task_prerun",
      "before_start ['ok'] {'by': 3}",
      "on_success 3 ['ok'] {'by': 3} ok",
      "task_success 3",
      "after_return SUCCESS 3",
      "task_postrun SUCCESS",
    ]);
    expect(Object.keys(theirs).sort()).toEqual([...KINDS, "unknown", "worker"].sort());
  });

  describe.each([
    { transport: redis as Transport, pool: "async" },
    { transport: redis as Transport, pool: "processes" },
    { transport: redis as Transport, pool: "threads" },
    ...(rabbit ? [{ transport: rabbit, pool: "async" }] : []),
  ])("of a celeriac worker over $transport.name with the pool $pool", ({ transport, pool }) => {
    let ours: Told;

    beforeAll(async () => {
      ours = await fromCeleriac(transport, pool);
    });

    const compared = (told: Told, kind: string): string[] =>
      (told[kind] ?? []).map((line) => line.replaceAll(": ", ":"));

    it.each([...KINDS, "unknown"].filter((kind) => kind !== "limit" && kind !== "retry"))(
      "%s: the same, in the same order",
      (kind) => {
        expect(compared(ours, kind)).toEqual(compared(theirs, kind));
      },
    );

    it("retry: the same, in the same order, but that a retry may come at once", () => {
      const run = (told: Told): string[] => compared(told, "retry").filter((line) => !line.startsWith("task_received"));
      expect(run(ours)).toEqual(run(theirs));
    });

    it("limit: what Python's worker calls; its child, which is killed, has last words", () => {
      const own = ["task_received", "task_prerun", "before_start", "on_failure", "after_return", "task_failure"];
      const names = (told: Told): string[] => compared(told, "limit").map((line) => line.split(" ")[0] ?? "");
      expect(names(ours)).toEqual(own);
      expect(names(theirs).filter((name, at, all) => all.lastIndexOf(name) === at && name !== "task_postrun")).toEqual(
        own,
      );
      expect(compared(theirs, "limit")).toEqual(expect.arrayContaining(compared(ours, "limit")));
    });

    it("the worker's own likewise", () => {
      const isOfChildren = (name: string): boolean => pool === "async" && name === "worker_process_init";
      expect(new Set(ours.worker)).toEqual(new Set(theirs.worker?.filter((name) => !isOfChildren(name))));
    });
  });
});
