import { type Arena, add, bare, celeriac, type Figures, type Measured, pythonClient } from "./contest.ts";
import { clear } from "./queue.ts";

/** Tasks a second that one process sends, a hundred at a time, each known to be with the broker. */
export async function measurePublish(arena: Arena): Promise<Measured> {
  const figures: Figures = new Map();
  await using ours = celeriac(arena);
  await using driver = bare(arena);
  const pythons = arena.python ? [pythonClient(arena, "Python Celery")] : [];
  const unconfirmed =
    arena.python && arena.kind === "amqp"
      ? pythonClient(arena, "Python Celery, unconfirmed", { CONFIRM: "0" })
      : undefined;
  if (unconfirmed) pythons.push(unconfirmed);
  const sizes = new Map([
    [ours, 20_000],
    [driver, arena.kind === "redis" ? 40_000 : 10_000],
    ...pythons.map((python) => [python, 1_500] as const),
  ]);
  // The first round warms up compilers and connections.
  for (let round = -1; round < arena.rounds; round++) {
    for (const [contestant, size] of sizes) {
      const count = Math.round((size * arena.scale) / (arena.kind === "amqp" && contestant === ours ? 2 : 1));
      const { seconds } = await contestant.tell<{ seconds: number }>("publish", count);
      await clear(arena);
      if (round >= 0) add(figures, contestant.name, count / seconds);
    }
    if (arena.kind === "redis") {
      const { seconds } = await driver.tell<{ seconds: number }>("publishMade", Math.round(20_000 * arena.scale));
      await clear(arena);
      if (round >= 0)
        add(figures, `${driver.name}, each message made by JSON.stringify`, (20_000 * arena.scale) / seconds);
    }
    if (arena.kind === "amqp") {
      const count = Math.round(20_000 * arena.scale);
      const { seconds } = await driver.tell<{ seconds: number }>("publishUnconfirmed", count);
      await clear(arena);
      if (round >= 0) add(figures, `${driver.name}, unconfirmed`, count / seconds);
    }
  }
  for (const python of pythons) await python[Symbol.asyncDispose]();
  return { title: "publish, 100 in flight", unit: "tasks/s", moreIsBetter: true, figures };
}
