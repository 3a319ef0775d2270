import { randomUUID } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { linkTo } from "../../protocol/canvas/compose.ts";
import { clone, merge, readSignature, signature } from "../../protocol/canvas/signature.ts";
import { readControlRequest } from "../../protocol/control/pidbox.ts";
import { DecodeError, InvalidTaskError } from "../../protocol/errors.ts";
import { readBody } from "../../protocol/message/embed.ts";
import { isMapping, readHeaders } from "../../protocol/message/headers.ts";
import type { Message } from "../../protocol/message/message.ts";
import { isTaskV1, readTaskV1 } from "../../protocol/message/v1.ts";
import { exceptionText, readException } from "../../protocol/result/exception.ts";
import { readMeta, taskMeta } from "../../protocol/result/meta.ts";
import { fromTuple } from "../../protocol/result/result-tuple.ts";
import { loads, loadsForward } from "../../protocol/serialization/json-reader.ts";
import { dumps } from "../../protocol/serialization/json-writer.ts";
import { readTable } from "../../protocol/transport/filesystem.ts";
import { dumpEnvelope, lookup, markRedelivered, readEnvelope } from "../../protocol/transport/virtual.ts";
import { hubOf, type MemoryHub } from "../../src/brokers/memory/hub.ts";
import type { Self, Worker } from "../../src/index.ts";
import { type TestApp, testApp } from "../support/app.ts";
import { damaged, jsonValue, shape } from "./values.ts";

const OWN_OF_PROTOTYPE = Object.getOwnPropertyNames(Object.prototype).sort();

afterEach(() => {
  expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(OWN_OF_PROTOTYPE);
});

/** What no reader expects: values that have no text, that are nested, that are of the wrong kind. */
const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e300, "", "x", [], {}),
  fc.constantFrom<unknown>(2n ** 64n, [[]], [null], { toString: null }, { valueOf: 1, toString: 1 }, "2031-05-06"),
  fc.constant(600).map((depth) => loads("[".repeat(depth) + "]".repeat(depth))),
  fc.constant(200).map((depth) => loads(`${'{"options": {"link": '.repeat(depth)}1${"}}".repeat(depth)}`)),
  fc.constantFrom("gzip", "application/x-gzip", "yesterday", "9999-12-31T23:59:59", "0001-01-01T00:00:00+14:00"),
  jsonValue,
);

type Path = (string | number)[];

/** The paths to all parts of a value, but for those of what is nested without an end. */
function paths(value: unknown, at: Path = []): Path[] {
  if (typeof value !== "object" || value === null || at.length > 8) return [at];
  return [at, ...Object.entries(value).flatMap(([key, item]) => paths(item, [...at, key]))];
}

/** A copy in which something else stands at a path, or nothing. */
function replaced(value: unknown, [key, ...rest]: Path, other: unknown): unknown {
  if (key === undefined) return other;
  const items = Object.entries(value as object).map(([name, item]): [string, unknown] =>
    name === String(key) ? [name, replaced(item, rest, other)] : [name, item],
  );
  const kept = items.filter(([, item]) => item !== undefined);
  return Array.isArray(value) ? kept.map(([, item]) => item) : Object.fromEntries(kept);
}

/** Variants of a value with junk in the place of one or two of its parts, or with parts missing or added. */
function mutated<T>(value: T): fc.Arbitrary<T> {
  const change = fc.record({ at: fc.nat(), other: fc.oneof({ weight: 6, arbitrary: junk }, fc.constant(undefined)) });
  return fc.array(change, { maxLength: 3 }).map((changes) => {
    let out: unknown = value;
    for (const { at, other } of changes) {
      const all = paths(out);
      const path = all[at % all.length] as Path;
      if (path.length > 0 || other !== undefined) out = replaced(out, path, other);
    }
    return out as T;
  });
}

const ID = "d0f4a1b2-0000-4000-8000-000000000001";
const SIGNATURE = { task: "tasks.any", args: [1], kwargs: { y: 2 }, options: {}, subtask_type: null, immutable: false };
const CHAIN = { ...SIGNATURE, task: "celery.chain", kwargs: { tasks: [SIGNATURE, SIGNATURE] }, subtask_type: "chain" };
const LINKED = { ...SIGNATURE, options: { task_id: ID, link: [SIGNATURE], link_error: SIGNATURE } };
const EMBED = { callbacks: [SIGNATURE], errbacks: [LINKED], chain: [CHAIN, SIGNATURE], chord: SIGNATURE };
const HEADERS = {
  lang: "py",
  task: "tasks.any",
  id: ID,
  shadow: "other",
  eta: "2001-05-06T07:08:09+00:00",
  expires: null,
  group: ID,
  group_index: 1,
  retries: 0,
  timelimit: [600, 500],
  root_id: ID,
  parent_id: null,
  argsrepr: "(1,)",
  kwargsrepr: "{}",
  origin: "gen1@host",
  ignore_result: false,
  replaced_task_nesting: 0,
  stamped_headers: ["stamp"],
  stamps: { stamp: ["a"] },
  custom: { any: 1 },
};
const PROPERTIES = { correlation_id: ID, reply_to: "reply", delivery_mode: 2, priority: 0 };
const V1 = {
  task: "tasks.any",
  id: ID,
  args: [1],
  kwargs: { y: 2 },
  retries: 0,
  eta: null,
  expires: null,
  utc: true,
  callbacks: [SIGNATURE],
  errbacks: null,
  chord: null,
  taskset: ID,
  timelimit: [null, 10],
};

const DOCUMENTED = [DecodeError, InvalidTaskError];

/** What a reader gives; undefined where it refuses by a documented error. */
function readOrRefused<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (DOCUMENTED.some((type) => error instanceof type)) return undefined;
    throw error;
  }
}

const isTextOrNull = (value: unknown): boolean => value === null || typeof value === "string";
const isCount = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0;

describe("what came off the wire is read, or refused by a documented error", () => {
  it("headers", () => {
    fc.assert(
      fc.property(mutated({ headers: HEADERS }), (message) => {
        const headers = message?.headers;
        const read = isMapping(headers) ? readOrRefused(() => readHeaders(headers)) : undefined;
        if (!read) return;
        expect(read.id !== "" && typeof read.id === "string" && typeof read.task === "string").toBe(true);
        for (const name of ["shadow", "eta", "expires", "group", "root_id", "parent_id", "origin"] as const) {
          expect(read[name]).toSatisfy(isTextOrNull);
        }
        expect(read.retries).toSatisfy(isCount);
        expect(read.timelimit).toHaveLength(2);
        expect(read.stamped_headers ?? []).toSatisfy((names: unknown[]) =>
          names.every((name) => typeof name === "string"),
        );
      }),
      { numRuns: 800 },
    );
  });

  it("bodies of protocol 2", () => {
    fc.assert(
      fc.property(mutated([[1, "two"], { y: 2 }, EMBED]), fc.boolean(), (body, forward) => {
        const text = dumps(body);
        const read = readOrRefused(() => readBody(forward ? loadsForward(text) : loads(text)));
        if (!read) return;
        const { callbacks, errbacks, chain, chord } = read[2];
        for (const sig of [callbacks, errbacks, chain, chord].flat())
          if (sig !== null) dumps(clone(readSignature(sig)));
      }),
      { numRuns: 800 },
    );
  });

  it("arguments, which are the same when they are only forwarded", () => {
    fc.assert(
      fc.property(jsonValue.map(dumps), (value) => {
        const kwargs = `{"b": ${value}, "1": ${value}, "__proto__": ${value}, "b": ${value}}`;
        const sig = `{"task": "t", "0": 0, "args": [${value}], "kwargs": ${kwargs}, "options": {"7": 1, "link": null}}`;
        const text = `[[${value}], ${kwargs}, {"callbacks": [${sig}], "0": 0}]`;
        const argumentsOf = (read: unknown): unknown[] => {
          const [args, named, embed] = readBody(read);
          return [args, named, readSignature(embed.callbacks?.[0])];
        };
        expect(shape(loads(dumps(argumentsOf(loadsForward(text)))))).toEqual(shape(argumentsOf(loads(text))));
      }),
      { numRuns: 300 },
    );
  });

  it("bodies and headers of protocol 1 and of the hybrid form", () => {
    fc.assert(
      fc.property(mutated(V1), mutated({ headers: HEADERS }), (body, message) => {
        const headers = isMapping(message?.headers) ? message.headers : {};
        if (isTaskV1(body)) readOrRefused(() => readTaskV1(body, headers));
      }),
      { numRuns: 800 },
    );
  });

  it("signatures, which can be changed and sent on", () => {
    fc.assert(
      fc.property(fc.oneof(mutated(CHAIN), mutated(LINKED)), jsonValue, (data, value) => {
        const sig = readOrRefused(() => readSignature(loadsForward(dumps(data))));
        if (!sig) return;
        linkTo(sig, signature("tasks.other", [value, 2n ** 60n]));
        dumps(clone(sig));
      }),
      { numRuns: 800 },
    );
  });

  it("envelopes", () => {
    const info = { deliveryTag: "tag", exchange: "", routingKey: "q", bodyEncoding: null };
    const properties = { correlation_id: ID, reply_to: "queue" };
    const content = { contentType: "application/json", contentEncoding: "utf-8", body: "[[], {}, {}]" };
    const raw = loads(dumpEnvelope({ ...content, headers: HEADERS, properties }, info));
    const texts = fc.oneof(
      mutated(raw).map(dumps),
      damaged(fc.constant(Buffer.from(dumps(raw)))).map((bytes) => Buffer.from(bytes).toString()),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const read = readOrRefused(() => readEnvelope(text));
        if (read) loads(dumpEnvelope(read, info));
        const marked = readOrRefused(() => markRedelivered(text));
        if (marked) loads(marked);
      }),
      { numRuns: 800 },
    );
  });

  it("results, control messages and tables", () => {
    const meta = taskMeta({
      taskId: ID,
      state: "FAILURE",
      result: { exc_type: "ValueError", exc_message: ["bad"], exc_module: "builtins" },
      request: { children: [[[ID, null], null]] },
      now: "2031-05-06T07:08:09+00:00",
    });
    const control = {
      method: "ping",
      arguments: { a: 1 },
      destination: ["w1"],
      ticket: ID,
      reply_to: { exchange: "e", routing_key: "r" },
    };
    fc.assert(
      fc.property(mutated(meta), mutated(control), mutated([["a", "", "b"]]), (stored, request, table) => {
        const read = readOrRefused(() => readMeta(stored, ID));
        if (read) {
          exceptionText(readException(read.result));
          read.children.map(fromTuple);
        }
        readOrRefused(() => readControlRequest(request));
        readOrRefused(() => readTable(dumps(table)));
      }),
      { numRuns: 800 },
    );
  });
});

describe("keys named __proto__", () => {
  const hostile = JSON.parse('{"__proto__": {"polluted": true}, "own": 1}') as Record<string, unknown>;
  const stays = (value: object): void => {
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.keys(value)).toContain("__proto__");
  };

  it("stay keys in all that is made from a message", () => {
    stays(readHeaders({ ...HEADERS, ...hostile }));
    stays(readTaskV1({ ...V1, ...hostile }, {}).headers);
    stays(readBody([[], hostile, null])[1]);
    stays(clone(readSignature({ ...SIGNATURE, kwargs: hostile, options: hostile })).options);
    stays(merge(readSignature(SIGNATURE), [], {}, hostile).options);
    const request = { name: "a", stampedHeaders: ["__proto__"], stamps: hostile };
    stays(taskMeta({ taskId: ID, state: "SUCCESS", result: 1, request, extended: true, now: "" }));
  });
});

describe("a binding", () => {
  it("is matched in a time that does not grow with every way that it could match", () => {
    const table = [{ routingKey: `${"#.".repeat(60)}end`, pattern: "", queue: "q" }];
    const started = performance.now();
    expect(lookup(table, "topic", `${"word.".repeat(120)}other`).size).toBe(0);
    expect(lookup(table, "topic", `${"word.".repeat(120)}end`).size).toBe(1);
    expect(performance.now() - started).toBeLessThan(500);
  });
});

describe("a worker", () => {
  const URL = `memory://fuzz-${randomUUID()}`;
  let test: TestApp;
  let worker: Worker;
  let hub: MemoryHub;
  let queue: string;

  beforeAll(async () => {
    test = testApp({ broker: URL, backend: URL, resultExtended: true });
    queue = test.app.settings.taskDefaultQueue;
    for (const acksLate of [false, true]) {
      const parameters = ["x", "y"];
      test.app.task({ name: acksLate ? "tasks.late" : "tasks.any", parameters, acksLate }, (..._: unknown[]) => null);
    }
    test.app.task({ name: "tasks.fails", acksLate: true, parameters: ["x", "y"] }, (..._: unknown[]) => {
      throw new Error("always");
    });
    test.app.task({ name: "tasks.again", acksLate: true, parameters: ["x", "y"], bind: true }, (self: Self) => {
      throw self.retry({ countdown: 0, maxRetries: 2 });
    });
    hub = hubOf(URL);
    worker = await test.start();
  });

  afterAll(async () => {
    const waiting = worker.state.scheduled.size;
    await test.app.close();
    expect(hub.size(queue)).toBe(waiting);
  });

  async function settled(): Promise<void> {
    const deadline = Date.now() + 2000;
    for (let quiet = 0; quiet < 5; quiet++) {
      await turn();
      if (hub.size(queue) > 0 || worker.state.reserved.size > 0) quiet = 0;
      if (Date.now() > deadline)
        throw new Error(`the worker did not settle the message: ${JSON.stringify(test.lines.slice(0, 6))}`);
    }
  }

  const body = [[1, "two"], {}, { ...EMBED, chord: null }];
  const task = fc.constantFrom("tasks.any", "tasks.late", "tasks.fails", "tasks.again");

  it("says what became of every message, whatever is wrong with it", async () => {
    await fc.assert(
      fc.asyncProperty(
        task,
        mutated(HEADERS),
        mutated(PROPERTIES),
        mutated(body),
        async (name, given, properties, inner) => {
          test.lines.length = 0;
          const id = randomUUID();
          const headers: Record<string, unknown> = isMapping(given) ? { ...given } : {};
          if (headers.id === ID) headers.id = id;
          if (headers.task === HEADERS.task) headers.task = name;
          const message = {
            headers,
            properties: isMapping(properties) ? properties : {},
            contentType: "application/json",
            contentEncoding: "utf-8",
            body: Buffer.from(dumps(inner)),
          };
          hub.publish(message as Message, { exchange: "", routingKey: queue });
          await settled();
          expect(test.lines).not.toEqual([]);
          if ([...worker.state.scheduled].some((request) => request.id === id)) return;
          const answered = headers.id === id && typeof headers.task === "string" && headers.ignore_result !== true;
          if (answered) expect(await test.app.asyncResult(id).state()).not.toBe("PENDING");
        },
      ),
      { numRuns: 200, endOnFailure: true },
    );
  });

  it("lets a task run, and a caller wait, for longer than a timer can be set to", async () => {
    test.app.task("tasks.slow", () => new Promise((resolve) => setTimeout(resolve, 20, "done")));
    for (const limit of [30 * 86_400, 1e300, Number.POSITIVE_INFINITY]) {
      const id = randomUUID();
      const headers = { ...HEADERS, id, task: "tasks.slow", timelimit: [limit, limit] };
      const content = { contentType: "application/json", contentEncoding: "utf-8", body: Buffer.from("[[], {}, {}]") };
      hub.publish({ headers, properties: {}, ...content }, { exchange: "", routingKey: queue });
      expect(await test.app.asyncResult(id).get({ timeout: limit })).toBe("done");
    }
  });
});
