import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { repr } from "../protocol/python/repr.ts";
import { serializersOf } from "../protocol/serialization/registry.ts";
import { exchange, queue } from "../protocol/transport/entities.ts";
import { DateTime, Decimal, FrozenSet, PlainDate, PlainTime, tuple, UUID } from "../src/index.ts";
import { type TestApp, testApp } from "../test/support/app.ts";
import { eventually } from "../test/support/eventually.ts";
import { PythonClient } from "./python.ts";
import { compatibilityOf } from "./versions.ts";

const pythons = Object.entries(inject("pythons"));

describe.skipIf(pythons.length === 0)("what versions of Celery keep on servers (needs Python 3)", () => {
  describe.each(pythons)("Celery %s", (version, python) => {
    const compatibility = compatibilityOf(version);
    let redis: Redis;
    const open: (() => Promise<unknown>)[] = [];

    beforeAll(() => {
      redis = new Redis(inject("redisUrl"));
      return async () => redis.disconnect();
    });

    afterEach(async () => {
      for (const close of open.splice(0).reverse()) await close();
    });

    function make(settings: object = {}): TestApp {
      const test = testApp({ compatibility, ...settings });
      open.push(() => test.app.close());
      return test;
    }

    function client(broker = inject("redisUrl"), settings: Record<string, unknown> = {}): PythonClient {
      const made = new PythonClient({ python, broker, backend: inject("redisUrl"), queue: "unused", settings });
      open.push(() => made[Symbol.asyncDispose]());
      return made;
    }

    it("counts the parts of a chord in the keys that celeriac counts them in", async () => {
      const [theirs, ours] = [randomUUID(), randomUUID()];
      await client().run(`
from types import SimpleNamespace
if hasattr(app.backend, "set_chord_size"): app.backend.set_chord_size("${theirs}", 2)
body = signature("tasks.add")
body["chord_size"] = 2
app.backend.on_chord_part_return(SimpleNamespace(id="t1", group="${theirs}", group_index=1, chord=body), "SUCCESS", [1.5])`);
      const { chords } = await make().app.backend();
      await chords?.setSize(ours, 2);
      const part = { groupId: ours, taskId: "t1", groupIndex: 1, state: "SUCCESS", result: [1.5] };
      expect(await chords?.partReturned(part)).toBeNull();
      const stored = async (group: string) => {
        const keys = await redis.keys(`celery-taskset-meta-${group}*`);
        const types = await Promise.all(keys.sort().map(async (key) => [key.slice(-2), await redis.type(key)]));
        return {
          ...Object.fromEntries(types),
          parts: await redis.zrange(keys.find((key) => key.endsWith(".j")) ?? "", "0", "-1"),
        };
      };
      const expected = await stored(theirs);
      // Celery 5.0 has the size in the body alone; others in its fleet look here.
      expect(await stored(ours)).toEqual({ ...expected, ".s": "string" });
      expect(await redis.get(`celery-taskset-meta-${ours}.s`)).toBe("2");
      if (version !== "5.0.5") expect(await redis.get(`celery-taskset-meta-${theirs}.s`)).toBe("2");
    });

    it("binds queues in the keys that celeriac binds them in", async () => {
      const [theirs, ours] = [`theirs-${randomUUID()}`, `ours-${randomUUID()}`];
      await client().run(`
from kombu import Exchange, Queue
with app.connection_for_write() as connection:
    for expires in (None, 60):
        Queue("${theirs}-%s" % expires, Exchange("${theirs}"), "key", expires=expires).bind(connection.default_channel).declare()`);
      const broker = await make().app.broker();
      await broker.connect();
      for (const expires of [null, 60]) {
        const of = { exchange: exchange(ours), routingKey: "key" };
        await broker.declare(
          queue(`${ours}-${expires ?? "None"}`, { ...of, arguments: expires ? { "x-expires": expires * 1000 } : {} }),
        );
      }
      const bound = async (name: string) => {
        const keys = (await redis.keys(`_kombu.binding*${name}`)).sort();
        const members = await Promise.all(keys.map((key) => redis.smembers(key)));
        const deadlines = (await redis.zrange("_kombu.binding_deadlines", "0", "-1")).filter((text) =>
          text.includes(name),
        );
        return JSON.stringify([keys, members.map((list) => list.sort()), deadlines]).replaceAll(name, "NAME");
      };
      expect(await bound(ours)).toBe(await bound(theirs));
    });

    it("reads the pickles that celeriac writes", async () => {
      const values = [
        ...["grüße \ud800", new Uint8Array([0, 255]), new Set([1]), new FrozenSet(["a"]), tuple([1, 2.5])],
        ...[
          { a: [null, true, 2n ** 70n] },
          new DateTime("2031-05-06T07:08:09.123456+05:30"),
          new PlainDate("2031-05-06"),
        ],
        ...[new PlainTime("07:08:09.000010"), new Decimal("1.10"), new UUID(randomUUID()), "x".repeat(300)],
      ];
      const { body } = serializersOf(compatibility).encode(values, "pickle");
      const text = Buffer.from(body).toString("base64");
      expect(await client().run(`repr(__import__("pickle").loads(__import__("base64").b64decode("${text}")))`)).toBe(
        repr(values),
      );
    });

    describe.skipIf(inject("amqpUrl") === "")("leaves a mailbox behind (needs RabbitMQ)", () => {
      it.each(["5.6", "5.7"] as const)("a worker with compatibility %s has all the same", async (compatibility) => {
        const test = make({ broker: inject("amqpUrl"), compatibility });
        const node = `node-${randomUUID()}@host`;
        const side = client(inject("amqpUrl"), { control_exchange: test.app.settings.controlExchange });
        // As a worker of that version declares it; an exclusive one lives as long as the connection.
        await side.run(`
connection = app.connection_for_read()
box = app.control.mailbox.get_queue("${node}")
box.bind(connection.default_channel).declare()
result = box.name`);
        const worker = await test.start({ hostname: node });
        const said = test.lines.filter(({ level, text }) => level === "warn" && text.includes("pidbox"));
        const exclusive = version.startsWith("5.7");
        if (exclusive) {
          expect(said).toHaveLength(1);
          expect(said[0]?.text).toContain("belongs to another connection");
          await side.run("connection.close()");
        } else {
          expect(said.map(({ text }) => text)).toEqual(
            compatibility === "5.7" ? [expect.stringContaining("exists with exclusive false")] : [],
          );
        }
        await eventually(async () => worker.consuming && (await ping(test, node)), 15_000);
        expect(test.lines.filter(({ level, text }) => level === "warn" && text.includes("pidbox"))).toHaveLength(
          said.length,
        );
      });
    });
  });
});

async function ping({ app }: TestApp, node: string): Promise<boolean> {
  const replies = await app.control.ping({ timeout: 0.5, destination: [node] });
  return replies.length === 1;
}
