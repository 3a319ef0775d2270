import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type RedisServer, startRedis } from "../test/servers/redis.ts";
import { testApp } from "../test/support/app.ts";
import { PythonClient } from "./python.ts";
import { ResultSides } from "./result-sides.ts";

const python = inject("python");

/** Settings of the Redis backend, as both sides take them. */
const SETTINGS = [
  ["none", {}],
  ["a prefix", { result_backend_transport_options: { global_keyprefix: "shop" } }],
  [
    "a prefix and chords in no order",
    { result_backend_transport_options: { global_keyprefix: "a.b:", result_chord_ordered: false } },
  ],
  ["results kept for 100 s", { result_expires: 100, result_failure_expires: 200 }],
  ["results kept for ever", { result_expires: 0 }],
  [
    "time limits and retries",
    {
      redis_socket_timeout: 5,
      redis_retry_on_timeout: true,
      redis_max_connections: 20,
      result_backend_always_retry: true,
      result_backend_max_retries: 50,
      result_backend_base_sleep_between_retries_ms: 20,
      result_backend_max_sleep_between_retries_ms: 200,
      result_backend_transport_options: { retry_policy: { max_retries: 50, interval_step: 0.1, interval_max: 0.2 } },
    },
  ],
] as const;

describe.skipIf(!python)("the Redis backend's settings (needs Python 3)", () => {
  let server: RedisServer;
  let redis: Redis;
  let client: PythonClient;
  let others = 0;

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
    redis.on("error", () => undefined);
    client = new PythonClient({ python, broker: "memory://", backend: server.url, queue: "unused" });
    await client.run("from results import *");
  });

  afterAll(async () => {
    redis?.disconnect();
    await client?.[Symbol.asyncDispose]();
    await server?.stop();
  });

  async function withSettings(settings: Record<string, unknown>, run: (sides: ResultSides) => Promise<void>) {
    const { app } = testApp({ backend: server.url, ...settings });
    const name = `other_${others++}`;
    const given = JSON.stringify(JSON.stringify(settings));
    await client.run(`${name} = app_with(**__import__("json").loads(${given}))`);
    try {
      await run(new ResultSides(app, client, name));
    } finally {
      await app.close();
    }
  }

  /** All that is there for an id: each key with its type and the seconds that it is kept for; -1 for ever. */
  async function kept(id: string): Promise<unknown[]> {
    const keys = (await redis.keys(`*${id}*`)).sort();
    return Promise.all(
      keys.map(async (key) => {
        const [type, seconds] = [await redis.type(key), await redis.ttl(key)];
        return [key.replace(id, "ID"), type, seconds < 0 ? seconds : Math.round(seconds / 10) * 10];
      }),
    );
  }

  describe.each(SETTINGS)("with %s", (_, settings) => {
    it("both keep results, groups and the parts of chords in the same keys, for as long", async () => {
      await withSettings(settings, async (sides) => {
        const backend = await sides.app.backend();
        const results = async (store: (state: string) => Promise<void>) => {
          const found: unknown[] = [];
          for (const state of ["SUCCESS", "FAILURE"]) {
            await store(state);
            found.push(await kept(sides.id));
          }
          return found;
        };
        const theirs = await results((state) => sides.fromPython(`None, "${state}"`));
        expect(await results((state) => sides.fromTypescript(state, null))).toEqual(theirs);
        const [python, typescript] = [randomUUID(), randomUUID()];
        const app = sides.python;
        await client.run(`
body = signature("tasks.add")
body["chord_size"] = 3
${app}.GroupResult("${python}", [${app}.AsyncResult("m")]).save()
${app}.backend.set_chord_size("${python}", 3)
${app}.backend.add_to_chord("${python}", None)
request = Context(id="t1", group="${python}", group_index=1, chord=body)
${app}.backend.on_chord_part_return(request, "SUCCESS", [1.5])`);
        await backend.saveGroup({ id: typescript, parent: null, results: [{ id: "m", parent: null, results: null }] });
        await backend.chords?.setSize(typescript, 3);
        await backend.chords?.addPart(typescript);
        const part = { groupId: typescript, taskId: "t1", groupIndex: 1, state: "SUCCESS", result: [1.5] };
        expect(await backend.chords?.partReturned(part)).toBeNull();
        const parts = await kept(python);
        expect(parts.length).toBeGreaterThanOrEqual(5);
        expect(await kept(typescript)).toEqual(parts);
      });
    });

    it("what one side stores wakes the other, which waits", async () => {
      await withSettings(settings, async (sides) => {
        sides.id = randomUUID();
        const channel = `*${sides.id}`;
        const heard = async (): Promise<unknown> => redis.pubsub("CHANNELS", channel);
        const waiting = sides.get();
        await expect.poll(heard).toHaveLength(1);
        const [ours] = (await heard()) as string[];
        await sides.againFromPython(`"from Python", "SUCCESS"`);
        expect(await waiting).toBe("from Python");
        expect(await redis.exists(String(ours))).toBe(1);
        sides.id = randomUUID();
        const asking = sides.asked("r.get(timeout=20)");
        await expect.poll(() => redis.pubsub("CHANNELS", `*${sides.id}`)).toHaveLength(1);
        await sides.againFromTypescript("SUCCESS", "from TypeScript");
        expect(await asking).toBe("from TypeScript");
      });
    });
  });

  it("both store and read again once a server that was away is back", async () => {
    await withSettings(SETTINGS[5][1], async (sides) => {
      await sides.fromPython(`1, "SUCCESS"`);
      expect(await sides.get()).toBe(1);
      await server.kill();
      const ours = new ResultSides(sides.app, client, sides.python);
      const storing = [sides.fromPython(`2, "SUCCESS"`), ours.fromTypescript("SUCCESS", 3)];
      const soon = new Promise((resolve) => setTimeout(resolve, 500));
      expect(await Promise.race([...storing, soon.then(() => "still away")])).toBe("still away");
      await server.start();
      await Promise.all(storing);
      expect(await sides.get()).toBe(2);
      expect(await ours.asked("r.get(timeout=20)")).toBe(3);
    });
  });
});
