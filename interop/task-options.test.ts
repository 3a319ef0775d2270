import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, inject, it } from "vitest";
import type { Celery, Self, TaskOptions } from "../src/index.ts";
import { type TestApp, testApp } from "../test/support/app.ts";
import { PythonClient, type PythonSide, PythonWorker } from "./python.ts";
import { sidesOf, type Transport, transports } from "./transports.ts";

const python = inject("python");
const SETTINGS = {
  task_annotations: { "options.annotated": { ignore_result: true } },
  task_inherit_parent_priority: true,
};

class KeyError extends Error {
  static pythonName = "builtins.KeyError";
}

/** What `python/options_client.py` learns. */
interface Learnt {
  requests: Record<string, Record<string, unknown> | null>;
  events: Record<string, [unknown, Record<string, unknown>[]]>;
  [part: string]: unknown;
}

type Properties = Record<string, unknown>;

/** What a task shows of its request, under Python's names. */
function requestOf({ request }: Self): Record<string, unknown> {
  const { children: _, deliveryInfo, name: __, ...fields } = request;
  const { routingKey: routing_key, ...delivery } = deliveryInfo;
  const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const named = Object.entries(fields).map(([name, value]) => [snake(name), value]);
  return { ...Object.fromEntries(named), delivery_info: { ...delivery, routing_key } };
}

/** The tasks of `python/options.py`. */
function serve(app: Celery, queue: string): void {
  const bound = (options: TaskOptions, handler: (self: Self) => unknown): unknown =>
    app.task({ ...options, bind: true }, handler);
  const send = (): Promise<{ id: string }> => app.sendTask("options.request", [], { queue });
  const requestTask = app.task({ name: "options.request", bind: true, parameters: ["*args", "**kwargs"] }, requestOf);
  bound({ name: "options.parent" }, async ({ request }) => {
    const children = [await send(), await requestTask.applyAsync([], { queue })];
    return [request.id, request.rootId, ...children.map(({ id }) => id), request.children.length];
  });
  bound({ name: "options.trail_off", trail: false }, async ({ request }) => {
    await send();
    return request.children.length;
  });
  bound({ name: "options.ignored_failure", ignoreResult: true, storeErrorsEvenIfIgnored: true }, () => {
    throw new RangeError("kept");
  });
  bound({ name: "options.ignored", ignoreResult: true }, () => 1);
  bound({ name: "options.annotated" }, () => 1);
  bound({ name: "options.started", trackStarted: true }, () => sleep(1000).then(() => "over"));
  bound({ name: "options.quiet", sendEvents: false }, () => 1);
  bound({ name: "options.long", resultreprMaxsize: 20 }, () => "x".repeat(100));
  bound({ name: "options.expected", throws: [KeyError] }, () => {
    throw new KeyError("known");
  });
  bound({ name: "options.progress" }, async (self) => {
    await self.updateState({ state: "PROGRESS", meta: { done: 1 } });
    await self.sendEvent("task-progress", { done: 1 });
    self.log.info({ done: 1 }, "half way");
    app.log.warn("nearly there");
    await sleep(1000);
    return "over";
  });
}

/** Has a client of Python's look at the tasks of a worker of either language. */
async function learn(transport: Transport, start: (side: PythonSide) => Promise<AsyncDisposable>): Promise<Learnt> {
  const sides = sidesOf(transport, python);
  const side = { ...sides.python, settings: { ...sides.python.settings, ...SETTINGS } };
  await using client = new PythonClient(side);
  await using worker = await start(side);
  expect(worker).toBeDefined();
  const code = `__import__("options_client").learn(app, "${side.queue}", ${transport.chords ? "True" : "False"})`;
  return await client.run<Learnt>(code);
}

const [redis, rabbit] = transports().filter(({ name }) => name === "Redis" || name.endsWith("results in Redis"));

describe.skipIf(!python).each([redis, rabbit].filter((one) => one !== undefined))(
  "a task's options and its request, as Python's worker has them, over $name (needs Python 3)",
  (transport) => {
    let theirs: Learnt;
    let ours: Learnt;
    let test: TestApp;

    beforeAll(async () => {
      theirs = await learn(transport, (side) => {
        const app = { module: "options", folder: "." };
        return PythonWorker.start({ ...side, app }, ["-c", "4", "-E", "-n", "node@here"]);
      });
      ours = await learn(transport, async ({ broker, backend, queue, settings }) => {
        test = testApp({ broker, backend, ...settings, taskDefaultQueue: queue });
        serve(test.app, queue);
        await test.start({ taskEvents: true, hostname: "node@here", concurrency: 4 });
        return test.app;
      });
    });

    it.each(["states", "trail_off"])("%s", (part) => {
      expect(ours[part]).toEqual(theirs[part]);
    });

    it("a child of a task has its root, its parent and its priority, and is counted", () => {
      const both = [true, true];
      // In Celery the second has none: its apply_async says so, which counts as a priority of its own.
      expect(theirs.child).toMatchObject({ root: both, parent: both, children: 2, stored: true });
      expect((theirs.child as { priority: unknown[] }).priority[0]).toBe(4);
      expect(ours.child).toEqual({ root: both, parent: both, priority: [4, 4], children: 2, stored: true });
    });

    it.each(["long", "quiet", "progress", "expected"])("the events of %s", (task) => {
      expect(ours.events[task]).toEqual(theirs.events[task]);
      expect(ours.events.quiet?.[1]).toEqual([]);
    });

    /** But for what differs from message to message: ids and times that nobody gave. */
    const shown = (request: Record<string, unknown> | null | undefined): unknown =>
      JSON.parse(
        JSON.stringify(request ?? null, (_, value) => (value === undefined ? null : value))
          .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "<uuid>")
          .replaceAll(/(python|typescript)-[0-9a-f]{8}/g, "<queue>")
          .replaceAll(/gen\d+@/g, "gen@")
          .replaceAll(/\d{4}-\d\d-\d\dT[\d:.+]+/g, "<time>"),
      );

    it.each(["told", "second", "member", "body"])("every field of the request of %s", (name) => {
      const { logfile, loglevel, taskset, headers, ignore_result, properties, ...fields } = theirs.requests[name] ?? {};
      // Of another time: no worker of Celery 5 sets them.
      expect([logfile, loglevel, taskset ?? null]).toEqual([null, null, null]);
      // They are properties of AMQP's own, and have their places in a message elsewhere.
      const { application_headers: _, content_type: __, content_encoding: ___, ...own } = properties as Properties;
      // As above: in Celery the last member of a chord hands the body its own absent priority.
      if (name === "body") Object.assign(fields.delivery_info as object, { priority: 0 });
      // Ours are an object always, and what holds where the message says nothing.
      const settled = { headers: headers ?? {}, ignore_result: ignore_result ?? false, properties: own };
      expect(shown(ours.requests[name])).toMatchObject(shown({ ...fields, ...settled }) as object);
    });

    it("every line that a task logs has its name and id", () => {
      const lines = [...test.logged("half way"), ...test.logged("nearly there")];
      expect(lines.map(({ text }) => text.replace(/\[.*\]/, "[]"))).toEqual([
        "options.progress[]: half way",
        "options.progress[]: nearly there",
      ]);
      for (const { fields, text } of lines) expect(text).toContain(`options.progress[${fields.id}]`);
      expect(lines[0]?.fields).toMatchObject({ task: "options.progress", done: 1 });
      expect(test.logged("raised expected: KeyError('known')")).toMatchObject([{ level: "info" }]);
    });
  },
);
