import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import {
  type Celery,
  type DateTime,
  Decimal,
  ExceptionValue,
  Float,
  FrozenSet,
  PlainDate,
  TaskError,
  TimeDelta,
  Tuple,
  tuple,
  UUID,
} from "../src/index.ts";
import { testApp } from "../test/support/app.ts";
import { signedFiles } from "../test/support/signed.ts";
import { both, fleet, fleetOf } from "./fleet.ts";
import { PythonClient, PythonWorker } from "./python.ts";
import type { Sides } from "./transports.ts";

const within = { timeout: 20 };
const python = inject("python");
const signed = signedFiles();

/** Settings of a whole fleet, and the content type that its messages have. */
const fleets: Record<
  string,
  { settings: Record<string, unknown>; contentType: string; values: unknown[]; python: string }
> = {
  json: {
    settings: {},
    contentType: "application/json",
    values: [new Date(0), new Decimal("1.10"), new UUID("6ba7b8109dad11d180b400c04fd430c8"), new Uint8Array([0, 255])],
    python: "[NOW, Decimal('1.10'), b'\\x00\\xff', 2**70, 1.5, 'ü😀']",
  },
  msgpack: {
    settings: both("msgpack"),
    contentType: "application/x-msgpack",
    values: [new Uint8Array([0, 255]), 2 ** 40, 1.5, "ü😀"],
    python: "[b'\\x00\\xff', 2**60, 1.5, 'ü😀', {'a': None}]",
  },
  yaml: {
    settings: both("yaml"),
    contentType: "application/x-yaml",
    values: [
      new Date(0),
      new PlainDate("2031-05-06"),
      new Uint8Array([0, 255]),
      new Set(["a"]),
      "yes",
      "1:30",
      "x".repeat(3000),
    ],
    python: "[NOW, NOW.date(), b'\\x00\\xff', {'a'}, 2**70, 'yes', '1:30', '', 'x' * 3000, {1: {'yes': None}}]",
  },
  pickle: {
    settings: both("pickle"),
    contentType: "application/x-python-serialize",
    values: [
      tuple([1, tuple([])]),
      new Set([1]),
      new FrozenSet(["a"]),
      new TimeDelta(1, 2),
      new Date(0),
      new Map([[1, "a"]]),
      2n ** 70n,
    ],
    python:
      "[(1, ()), {1}, frozenset('a'), timedelta(1, 2), NOW, {1: 'a'}, 2**70, 1.5, KeyError('k').args, Decimal('1'), NOW.timetz()]",
  },
  auth: {
    settings: {
      ...{ task_serializer: "auth", result_serializer: "auth", accept_content: ["auth"], security_digest: "sha512" },
      ...signed.settings,
    },
    contentType: "application/data",
    values: [new Date(0), new Decimal("1.10"), "ü😀"],
    python: "[NOW, Decimal('1.10'), b'\\x00\\xff', 'ü😀']",
  },
};

describe.skipIf(python === "")("serializers, with a real Python worker (needs Python 3)", () => {
  describe.each(Object.entries(fleets))("a fleet that speaks %s", (name, fleet) => {
    let sides: Sides;
    let app: Celery;
    let client: PythonClient;
    let worker: PythonWorker;

    beforeAll(async () => {
      sides = fleetOf(fleet.settings);
      const test = testApp(sides.settings);
      app = test.app;
      serve(app);
      client = new PythonClient(sides.python);
      const preamble = `
from datetime import datetime, timedelta, timezone
from decimal import Decimal
queue = ${JSON.stringify(sides.queues.typescript)}
NOW = datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc)`;
      const [started] = await Promise.all([PythonWorker.start(sides.python), test.start(), client.run(preamble)]);
      worker = started;
    });

    afterAll(async () => {
      await Promise.all([app?.close(), client?.[Symbol.asyncDispose](), worker?.[Symbol.asyncDispose]()]);
    });

    const toPython = (): { queue: string } => ({ queue: sides.queues.python });

    it("sends messages of its content type, which Celery writes as well", async () => {
      const types = await contentTypes(app, client);
      expect(types).toEqual({ typescript: fleet.contentType, python: fleet.contentType });
    });

    it("calls Python, and values come back as they went", async () => {
      const result = await app.sendTask("tasks.echo", [fleet.values], { kwargs: {}, ...toPython() });
      const described = await app.sendTask("tasks.describe", [fleet.values], toPython());
      const again = await app.sendTask("tasks.describe", [await result.get(within)], toPython());
      expect(await again.get(within)).toBe(await described.get(within));
    });

    it("is called from Python, and values come back as they went", async () => {
      const code = `
sent = ${fleet.python}
result = app.send_task("typescript.echo", (sent,), queue=queue).get(timeout=20)
result = [result == sent, repr(result)]`;
      const [same, shown] = await client.run<[boolean, string]>(code);
      expect(same, shown).toBe(true);
    });

    it("gets errors both ways", async () => {
      const failed = await app.sendTask("tasks.fail", ["broken"], toPython());
      const error = await failed.get(within).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(TaskError);
      expect(error).toMatchObject({ type: "ValueError", module: "builtins", args: ["broken"], message: "broken" });
      const code = `app.send_task("typescript.fail", ("bad",), queue=queue).get(timeout=20)`;
      await expect(client.run(code)).rejects.toMatchObject({ type: "ValueError", args: ["'bad'"] });
    });

    it("runs a chain across the border, from either side", async () => {
      const add = app.remote<[number, number], number>("typescript.add", { queue: sides.queues.typescript });
      const sent = await add.s(1, 2).pipe(app.remote("tasks.mul", toPython()).s(10)).pipe(add.s(5)).applyAsync();
      expect(await sent.get(within)).toBe(35);
      // PyYAML cannot represent Celery's own signatures.
      if (name === "yaml") return;
      const code = `chain(
        signature("typescript.add", (1, 2)).set(queue=queue),
        signature("tasks.mul", (10,)).set(queue=${JSON.stringify(sides.queues.python)}),
        signature("typescript.add", (5,)).set(queue=queue),
      )().get(timeout=20)`;
      expect(await client.run(code)).toBe(35);
    });

    it("retries in Python and here", async () => {
      expect(await (await app.sendTask("tasks.flaky", [2], toPython())).get(within)).toBe(2);
      expect(await client.run(`app.send_task("typescript.flaky", (2,), queue=queue).get(timeout=20)`)).toBe(2);
    });

    it("keeps 1.0 apart from 1 through a retry", async () => {
      // msgpack is read by a library that makes one of both.
      if (name === "msgpack") return;
      const code = `app.send_task("typescript.float_after_retry", (1.0, 7), queue=queue).get(timeout=20)`;
      expect(await client.run(code)).toBe("[1.0, 7]");
    });

    it("is found by remote control of both kinds", async () => {
      // A fleet that does not accept JSON has to be asked in its own words.
      const replies = await app.control.ping({ timeout: 3 });
      expect(replies.map((reply) => Object.values(reply)[0])).toEqual([{ ok: "pong" }, { ok: "pong" }]);
      const asked = await client.run<unknown[]>(`app.control.ping(timeout=3)`);
      expect(asked).toHaveLength(2);
    });
  });

  describe("pickle", () => {
    it("brings what only Python has", async () => {
      await using python = await fleet(both("pickle"), {}, serve);
      const result = await python.app.sendTask("tasks.python_values", [], { queue: python.sides.queues.python });
      const values = (await result.get(within)) as Record<string, unknown>;
      expect(values.tuple).toBeInstanceOf(Tuple);
      expect(values.tuple).toEqual([1, [2]]);
      expect(values.set).toEqual(new Set([1]));
      expect(values.frozenset).toBeInstanceOf(FrozenSet);
      expect(values.timedelta).toEqual(new TimeDelta(-1, 0, 5));
      expect(values.error).toEqual(new ExceptionValue("builtins", "KeyError", ["k"]));
      expect((values.moment as DateTime).isoFormat()).toBe("2031-05-06T07:08:09.123456+00:00");
      expect(values.decimal).toEqual(new Decimal("1.10"));
      expect(String(values.uuid)).toBe("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
      expect(values.bytes).toEqual(new Uint8Array([0, 255]));
      expect(values.keys).toEqual(new Map([[1, "a"]]));
      expect(values.big).toBe(2n ** 70n);
      const floats = await python.app.sendTask("tasks.describe", [[new Float(1), 1]], {
        queue: python.sides.queues.python,
      });
      expect(await floats.get(within)).toBe("[1.0, 1]");
    });

    it("names an exception class that is not known, which can be told", async () => {
      await using python = await fleet(both("pickle"), {}, serve);
      const sell = (): Promise<unknown> =>
        python.app
          .sendTask("tasks.out_of_stock", ["apple", 3], { queue: python.sides.queues.python })
          .then((result) => result.get(within));
      await expect(sell()).rejects.toThrow(
        "tasks.OutOfStock, which is not among the classes that are read from pickles",
      );
      const { pickleSerializer } = await import("../src/index.ts");
      python.app.register(pickleSerializer({ exceptions: ["tasks.OutOfStock"] }));
      await expect(sell()).rejects.toMatchObject({ type: "OutOfStock", module: "tasks", args: ["apple", 3] });
    });
  });

  describe("content that is not accepted", () => {
    it.each(["pickle", "yaml", "msgpack"])(
      "is refused, named, and stored as the task's failure: %s",
      async (serializer) => {
        await using python = await fleet({}, {}, serve);
        const code = `app.send_task("typescript.echo", (1,), queue=queue, serializer=${JSON.stringify(serializer)}).get(timeout=20)`;
        const refused = python.client.run(code);
        await expect(refused).rejects.toMatchObject({ type: "ContentDisallowed", module: "kombu.exceptions" });
        await expect(refused).rejects.toThrow(`Refusing to deserialize untrusted content of type ${serializer}`);
        expect(python.test.logged("Refusing to deserialize untrusted content").length).toBeGreaterThan(0);
      },
    );

    it("is refused as a result, too", async () => {
      await using python = await fleet({ result_serializer: "msgpack" }, { resultSerializer: "msgpack" }, serve);
      const result = await python.app.sendTask("tasks.add", [1, 2], { queue: python.sides.queues.python });
      await expect(result.get(within)).rejects.toThrow("untrusted content of type msgpack");
      const accepting = testApp({
        ...python.sides.settings,
        resultSerializer: "msgpack",
        resultAcceptContent: ["msgpack"],
      });
      expect(await accepting.app.asyncResult(result.id).get(within)).toBe(3);
      await accepting.app.close();
    });

    it("is a pickle of what is no plain value, which is named and never run", async () => {
      await using python = await fleet(both("pickle"), {}, serve);
      const code = `
import os, tempfile
class Evil:
    def __reduce__(self):
        return os.mkdir, (marker,)
marker = os.path.join(tempfile.mkdtemp(), "ran")
sent = app.send_task("typescript.echo", (Evil(),), queue=queue)
try:
    result = sent.get(timeout=20)
except Exception as exc:
    result = [type(exc).__name__, str(exc), os.path.exists(marker)]`;
      const [type, text, ran] = await python.client.run<[string, string, boolean]>(code);
      expect([type, ran]).toEqual(["DecodeError", false]);
      expect(text).toContain("posix.mkdir");
    });
  });

  describe("signed messages", () => {
    const settings = fleets.auth?.settings ?? {};

    it("are all that is run: not what nobody signed, nor what a stranger did", async () => {
      await using python = await fleet(settings, {}, serve);
      const json = `app.send_task("typescript.echo", (1,), queue=queue, serializer="json").get(timeout=20)`;
      await expect(python.client.run(json)).rejects.toThrow("untrusted content of type json");
      const stranger = testApp({ ...python.sides.settings, ...signed.strangerSettings });
      const sent = await stranger.app.sendTask("typescript.echo", [1], { queue: python.sides.queues.typescript });
      await expect(python.app.asyncResult(sent.id).get(within)).rejects.toThrow("Unknown certificate");
      const toPython = await stranger.app.sendTask("tasks.add", [1, 2], { queue: python.sides.queues.python });
      await expect(python.app.asyncResult(toPython.id).get({ timeout: 3 })).rejects.toThrow("timed out");
      await stranger.app.close();
    });
  });

  describe("a serializer of one's own", () => {
    it("is registered on both sides", async () => {
      const own = { ...both("reversed"), accept_content: ["reversed", "json"] };
      await using python = await fleet(own);
      python.app.register(
        "reversed",
        (value) => JSON.stringify(value).split("").reverse().join(""),
        (text) => JSON.parse(text.split("").reverse().join("")),
        "application/x-reversed",
      );
      serve(python.app);
      await python.test.start();
      const code = `
import json
from kombu.serialization import register
register("reversed", lambda value: json.dumps(value)[::-1], lambda text: json.loads(bytes(text).decode()[::-1] if not isinstance(text, str) else text[::-1]),
         "application/x-reversed")
result = app.send_task("typescript.add", (1, 2), queue=queue).get(timeout=20)`;
      expect(await python.client.run(code)).toBe(3);
    });
  });
});

function serve(app: Celery): void {
  app.task("typescript.echo", (value: unknown) => value);
  app.task("typescript.add", (x: number, y: number) => x + y);
  app.task("typescript.fail", (message: string) => {
    throw new RangeError(message);
  });
  app.task({ name: "typescript.flaky", bind: true }, (self, failures: number) => {
    if (self.request.retries < failures) throw self.retry({ countdown: 0.1 });
    return self.request.retries;
  });
  app.task({ name: "typescript.float_after_retry", bind: true }, async (self, _float: number, _int: number) => {
    if (self.request.retries === 0) throw self.retry({ countdown: 0 });
    return self.request.argsrepr.replace("(", "[").replace(")", "]");
  });
}

/** What each side's message says of itself, out of a queue that nobody works for. */
async function contentTypes(app: Celery, client: PythonClient): Promise<Record<string, string>> {
  const redis = new Redis(inject("redisUrl"));
  const own = `nobody-${Math.random().toString(36).slice(2)}`;
  await app.sendTask("tasks.add", [1, 2], { queue: `${own}-typescript`, ignoreResult: true });
  await client.run(`app.send_task("tasks.add", (1, 2), queue="${own}-python").id`);
  const read = async (side: string): Promise<string> =>
    JSON.parse((await redis.lindex(`${own}-${side}`, 0)) ?? "{}")["content-type"];
  const types = { typescript: await read("typescript"), python: await read("python") };
  await redis.del(`${own}-typescript`, `${own}-python`);
  await redis.quit();
  return types;
}
