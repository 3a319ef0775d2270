import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { TimeoutError } from "../../src/index.ts";
import { randomFrom } from "../../test/fuzz/campaign/random.ts";
import { startRedis } from "../../test/servers/redis.ts";
import type { Server } from "../../test/servers/server.ts";
import { type TestApp, testApp } from "../../test/support/app.ts";
import { eventually } from "../../test/support/eventually.ts";
import { PythonClient, PythonWorker } from "../python.ts";
import { type Sides, sidesOf } from "../transports.ts";
import { compose, composeInPython } from "./compose.ts";
import { type Expected, expected, shown, type Value } from "./expected.ts";
import { type Language, randomCanvas, type Shape, tasksOf } from "./random-canvas.ts";

/** How many canvases; `script/canvases` asks for more, of another seed for each run. */
const COUNT = Number(process.env.CELERIAC_CANVASES ?? 30);
const SEED = process.env.CELERIAC_CANVASES_SEED ?? "g";
/** How many are under way at a time. */
const BATCH = 100;
/** Seconds that a batch may take. */
const WITHIN = 30;

/** One canvas of the run. */
interface Case {
  /** Its name: with the seed, what makes it again. */
  name: string;
  sender: Language;
  /** Whether some of its tasks may fail. */
  failing: boolean;
  shape: Shape;
  expected: Expected;
}

const needs = inject("python") === "" ? " (needs Python 3: script/setup installs it)" : "";

describe.skipIf(needs)(`random canvases, seed ${SEED}${needs}`, () => {
  let server: Server;
  let redis: Redis;
  let sides: Sides;
  let test: TestApp;
  let client: PythonClient;
  let worker: PythonWorker;

  beforeAll(async () => {
    // Of its own: what is left in it is looked at.
    server = await startRedis();
    redis = new Redis(server.url);
    const places = { broker: server.url, backend: server.url, sharedResults: true, chords: true };
    sides = sidesOf({ name: "Redis", ...places }, inject("python"));
    const python = { ...sides.python, app: { module: "canvas_tasks", folder: import.meta.dirname } };
    test = testApp(sides.settings);
    test.app.task({ name: "canvas.step", bind: true, parameters: ["*args", "**kwargs"] }, async (self) => {
      const { canvas, tag, does } = self.request.kwargs as Record<string, string>;
      if (does === "retry" && self.request.retries === 0) throw self.retry({ countdown: 0 });
      await redis.hincrby(ledger(String(canvas)), String(tag), 1);
      if (does === "fail") throw new RangeError(String(tag));
      return `${tag}(${(self.request.args as Value[]).map(shown).join(",")})`;
    });
    client = new PythonClient(python);
    [worker] = await Promise.all([PythonWorker.start(python), test.start(), client.run(composeInPython(sides.queues))]);
  });

  afterAll(async () => {
    await Promise.all([test?.app.close(), client?.[Symbol.asyncDispose](), worker?.[Symbol.asyncDispose]()]);
    redis?.disconnect();
    await server?.stop();
  });

  const cases = Array.from({ length: COUNT }, (_, number): Case => {
    const random = randomFrom(`${SEED}-${number}`);
    const languages: readonly Language[] = number % 4 === 0 ? ["typescript"] : ["python", "typescript"];
    const sender = random.pick(languages);
    const failing = number % 3 === 0;
    const shape = randomCanvas(random, { failing, languages });
    return { failing, name: `${SEED}-${number}`, sender, shape, expected: expected(shape) };
  });
  const batches = ["succeed", "may fail"].flatMap((how) => {
    const all = cases.filter(({ failing }) => failing === (how === "may fail"));
    return Array.from({ length: Math.ceil(all.length / BATCH) }, (_, number) => {
      const batch = all.slice(number * BATCH, (number + 1) * BATCH);
      return { how, from: number * BATCH, count: batch.length, batch };
    });
  });

  it.each(batches)(
    "that $how come to what they should, each task run once: $count from number $from",
    async ({ how, batch }) => {
      const deadline = Date.now() + WITHIN * 1000;
      const outcomes = await Promise.all(batch.map((one) => outcomeOf(one, deadline)));
      await Promise.all(batch.map(allRan));
      // What runs though it should not, does it now.
      await new Promise((resolve) => setTimeout(resolve, 500));
      const wrong = [];
      for (const [position, one] of batch.entries()) {
        wrong.push(...differences(one, outcomes[position] as string, await redis.hgetall(ledger(one.name))));
        await redis.del(ledger(one.name));
      }
      expect(wrong).toEqual([]);
      expect(await keysLeft(how === "succeed")).toEqual([]);
    },
    WITHIN * 4000,
  );

  /**
   * Kinds of keys that should not be there: none that stays. Of chords that succeeded there is only the mark `.c`, and as
   * Celery leaves it the size `.s` of a group within a header, where nobody counts.
   */
  async function keysLeft(succeeded: boolean): Promise<string[]> {
    const kinds = new Set<string>();
    for (const key of await redis.keys("celery-*")) {
      const kind = key.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, "ID");
      if ((await redis.ttl(key)) < 0) kinds.add(`${kind} stays`);
      if (succeeded && !/meta-ID(?:\.[cs])?$/.test(kind)) kinds.add(kind);
    }
    return [...kinds];
  }

  /** What a canvas came to: its value as text, `failed`, or `pending` when nobody said in time what became of it. */
  async function outcomeOf({ sender, name, shape }: Case, deadline: number): Promise<string> {
    if (sender === "python") {
      await client.run(`send(${JSON.stringify(name)}, json.loads(r"""${JSON.stringify(shape)}"""))`);
      return client.run<string>(`outcome(${JSON.stringify(name)}, ${deadline / 1000} - time.time())`);
    }
    const result = await compose(test.app, sides.queues, name, shape).applyAsync();
    return result.get({ timeout: WITHIN }).then(
      (value) => shown(value as Value),
      (error) => (error instanceof TimeoutError ? "pending" : "failed"),
    );
  }

  /** Tasks beside one that failed may run on when the canvas has failed. */
  async function allRan({ name, expected: { run } }: Case): Promise<void> {
    await eventually(async () => (await redis.hlen(ledger(name))) >= run.length, WITHIN * 1000).catch(() => {});
  }
});

/** Where the tasks of a canvas count their runs. */
function ledger(name: string): string {
  return `ran-${name}`;
}

/** What is not as it should be, a line each. @param ran how often each task ran, by its tag */
function differences({ name, sender, shape, expected }: Case, outcome: string, ran: Record<string, string>): string[] {
  const wanted = expected.value === undefined ? "failed" : shown(expected.value);
  // Where Celery's worker fails the body of a chord, it tells no chord around that one: waiting for that has no end.
  const endless = wanted === "failed" && tasksOf(shape).some(({ language }) => language === "python");
  const tags = new Set([...Object.keys(ran), ...expected.run]);
  const runs = [...tags].filter((tag) => ran[tag] !== (expected.run.includes(tag) ? "1" : undefined));
  const lines = [
    ...(outcome === wanted || (endless && outcome === "pending") ? [] : [`came to ${outcome}, not ${wanted}`]),
    ...runs.map((tag) => `${tag} ran ${ran[tag] ?? 0} times`),
  ];
  return lines.length > 0 ? [`${name}, sent by ${sender}: ${written(shape)}`, ...lines] : [];
}

/** A canvas in one line: `chain(t1ᵖ, group(t2ᵗ, t3ᵗ!))`. */
function written(shape: Shape): string {
  if (shape.kind === "chord") return `chord([${shape.header.map(written).join(", ")}], ${written(shape.body)})`;
  if (shape.kind !== "task") return `${shape.kind}(${shape.parts.map(written).join(", ")})`;
  const { tag, language, does, immutable } = shape;
  return `${tag}${language === "python" ? "ᵖ" : "ᵗ"}${{ return: "", retry: "↻", fail: "!" }[does]}${immutable ? "·" : ""}`;
}
