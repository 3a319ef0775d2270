import { medianOf } from "../spread.ts";
import { type Arena, add, bare, celeriac, type Figures, type Measured, pythonClient, pythonWorker } from "./contest.ts";
import { clear } from "./queue.ts";

/** Median time from sending one task to having its result, one at a time, client and worker in one language. */
export async function measureRoundTrip(arena: Arena): Promise<Measured> {
  const figures: Figures = new Map();
  const pairs = [
    { client: celeriac, worker: celeriac, told: true },
    { client: bare, worker: bare, told: true },
    ...(arena.python ? [{ client: pythonClient, worker: pythonWorker, told: false }] : []),
  ];
  await clear(arena);
  const running = pairs.map(({ client, worker, told }, n) => {
    const own = { ...arena, queue: `${arena.queue}-${n}` };
    return { client: client(own), worker: worker(own), told };
  });
  for (const { worker, told } of running) if (told) await worker.tell("work");
  const count = Math.max(20, Math.round(300 * arena.scale));
  for (let round = -1; round < arena.rounds; round++) {
    for (const { client } of running) {
      const { milliseconds } = await client.tell<{ milliseconds: number[] }>("roundTrip", count);
      if (round >= 0) add(figures, client.name, medianOf(milliseconds.sort((a, b) => a - b)));
    }
  }
  for (const { client, worker } of running) {
    await Promise.all([client[Symbol.asyncDispose](), worker[Symbol.asyncDispose]()]);
  }
  await clear(arena);
  return { title: "round trip, median", unit: "ms", moreIsBetter: false, figures };
}
