import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { SerializerRegistry } from "../protocol/serialization/registry.ts";
import { CARRIED, described } from "./echo.ts";
import { PythonClient } from "./python.ts";

/** `CELERIAC_TEST_SEED` makes the values of a run again. */
const seed = Number(process.env.CELERIAC_TEST_SEED ?? Date.now() % 2 ** 31);

/** How many values go to Python in one line. */
const BATCH = 500;

const python = inject("python");
const serializers = new SerializerRegistry();

/** What Python says of a value. */
type Echo = { value: string; payload: string } | { error: string };

describe.skipIf(!python)(`generated values, seed ${seed} (needs Python 3)`, () => {
  let client: PythonClient;

  beforeAll(async () => {
    client = new PythonClient({ python, broker: "memory://", backend: "cache+memory://", queue: "unused" });
    await client.run("from echo import *");
  });

  afterAll(() => client?.[Symbol.asyncDispose]());

  it("are twenty thousand at least", () => {
    expect(CARRIED.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThanOrEqual(20_000);
  });

  describe.each(CARRIED)("by $name", ({ name, count, values }) => {
    const { contentType, contentEncoding } = serializers.get(name);
    const read = (body: Uint8Array, forward = false): unknown =>
      serializers.decode({ body, contentType, contentEncoding }, null, forward);
    const base64 = (value: unknown): string => Buffer.from(serializers.encode(value, name).body).toString("base64");

    async function ask<T>(what: "echo" | "same", batch: number, payloads: readonly string[]): Promise<T[]> {
      return client.run<T[]>(`${what}("${name}", ${batch}, ${JSON.stringify(payloads)})`);
    }

    it("are the same in Python, and the same when they come back", { timeout: 240_000 }, async () => {
      const samples = fc.sample(values, { numRuns: count, seed });
      for (let from = 0; from < count; from += BATCH) {
        const batch = samples.slice(from, from + BATCH);
        const echoes = await ask<Echo>("echo", from, batch.map(base64));
        const returned = echoes.map((echo, position) => {
          const at = `${name}, value ${from + position} of seed ${seed}`;
          if ("error" in echo) throw new Error(`${at}: ${echo.error} of ${described(batch[position])}`);
          expect(echo.value, `Python's reading: ${at}`).toBe(described(batch[position]));
          const bytes = Buffer.from(echo.payload, "base64");
          expect(described(read(bytes)), `read again: ${at}`).toBe(described(batch[position], true));
          const forwarded = base64(read(bytes, true));
          if (name === "json") expect(forwarded, `forwarded: ${at}`).toBe(echo.payload);
          return forwarded;
        });
        // What is only forwarded keeps its type in every serializer, in JSON every byte.
        const differences = await ask<{ error: string } | null>("same", from, returned);
        expect(differences.find(Boolean), `forwarded: ${name}, batch from ${from} of seed ${seed}`).toBeUndefined();
      }
    });
  });
});
