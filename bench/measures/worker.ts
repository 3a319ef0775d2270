import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import { type Arena, add, type Figures, type Measured } from "./contest.ts";
import { clear } from "./queue.ts";

/** How long the command takes from its start until the first result of a waiting task is stored. */
export async function measureStart(arena: Arena): Promise<Measured> {
  const figures: Figures = new Map();
  for (let round = 0; round < Math.max(arena.rounds, 5); round++) {
    await clear(arena);
    await sendOne(arena);
    const start = performance.now();
    const worker = startWorker(arena);
    await oneResult(arena);
    add(figures, "celeriac worker", performance.now() - start);
    worker.kill("SIGKILL");
    await once(worker, "exit");
  }
  return { title: "worker up and serving", unit: "ms", moreIsBetter: false, figures };
}

/** What a worker that has nothing to do costs. */
export async function measureIdle(arena: Arena, seconds: number): Promise<Measured[]> {
  const cpu: Figures = new Map();
  const memory: Figures = new Map();
  await clear(arena);
  await sendOne(arena);
  const worker = startWorker(arena);
  await oneResult(arena);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const before = cpuSeconds(worker.pid);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  add(cpu, "celeriac worker", ((cpuSeconds(worker.pid) - before) / seconds) * 100);
  add(memory, "celeriac worker", residentMegabytes(worker.pid));
  worker.kill("SIGKILL");
  await once(worker, "exit");
  return [
    { title: "idle worker, CPU", unit: "% of a core", moreIsBetter: false, figures: cpu },
    { title: "idle worker, memory", unit: "MB resident", moreIsBetter: false, figures: memory },
  ];
}

function startWorker(arena: Arena): ReturnType<typeof spawn> {
  const command = ["dist/src/cli/main.js", "-A", "bench/contestants/app.mjs", "worker", "-l", "ERROR"];
  return spawn(process.execPath, command, { stdio: "ignore", env: environment(arena) });
}

async function sendOne(arena: Arena): Promise<void> {
  const command = ["dist/src/cli/main.js", "-A", "bench/contestants/app.mjs", "call", "bench.add", "-a", "[1, 2]"];
  await once(spawn(process.execPath, command, { stdio: "ignore", env: environment(arena) }), "exit");
}

function environment(arena: Arena): NodeJS.ProcessEnv {
  return {
    ...process.env,
    CELERY_BROKER_URL: arena.broker,
    CELERY_RESULT_BACKEND: arena.backend,
    CELERIAC_TASK_QUEUE: arena.queue,
  };
}

async function oneResult(arena: Arena): Promise<void> {
  const redis = new Redis(arena.backend);
  while ((await redis.keys("celery-task-meta-*")).length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  redis.disconnect();
}

/** User and system time so far, by /proc; Linux only. */
function cpuSeconds(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const ticks = Number(fields[11]) + Number(fields[12]);
  return ticks / 100;
}

function residentMegabytes(pid: number | undefined): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1]) / 1024;
}
