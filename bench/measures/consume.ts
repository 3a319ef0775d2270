import type { Contestant } from "../contestant.ts";
import {
  type Arena,
  add,
  bare,
  celeriac,
  celeriacProcesses,
  type Figures,
  type Measured,
  pythonWorker,
} from "./contest.ts";
import { clear, resultRate } from "./queue.ts";

/** Tasks a second that one worker takes, runs and stores the results of, from a queue that is full. */
export async function measureConsume(arena: Arena): Promise<Measured> {
  const figures: Figures = new Map();
  const contestants: { start(arena: Arena): Contestant; size: number; told: boolean }[] = [
    { start: celeriac, size: 30_000, told: true },
    { start: bare, size: 30_000, told: true },
    { start: celeriacProcesses, size: 5_000, told: false },
  ];
  if (arena.python) contestants.push({ start: pythonWorker, size: 2_500, told: false });
  for (let round = 0; round < arena.rounds; round++) {
    for (const { start, size, told } of contestants) {
      const count = Math.round(size * arena.scale);
      await clear(arena);
      const filler = bare(arena);
      await filler.tell("fill", count);
      await filler[Symbol.asyncDispose]();
      await using worker = start(arena);
      if (told) await worker.tell("work");
      add(figures, worker.name, await resultRate(arena, count));
    }
  }
  await clear(arena);
  return { title: "consume, results in Redis", unit: "tasks/s", moreIsBetter: true, figures };
}
