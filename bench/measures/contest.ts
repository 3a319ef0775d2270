import { Contestant, type Surroundings } from "../contestant.ts";

/** Where the contestants meet. */
export interface Arena extends Surroundings {
  /** `redis` or `amqp`. */
  kind: "redis" | "amqp";
  /** Interpreter with Celery; empty where there is none. */
  python: string;
  rounds: number;
  /** Multiplies the number of tasks in a round. */
  scale: number;
}

/** Figures by contestant, one a round. The first contestant is celeriac. */
export type Figures = Map<string, number[]>;

/** A table's worth: what was measured, in which unit, and the figures. */
export interface Measured {
  title: string;
  unit: string;
  /** False for times. */
  moreIsBetter: boolean;
  figures: Figures;
}

const CONTESTANTS = ".cache/bench/bench/contestants";

export function celeriac(arena: Arena): Contestant {
  return new Contestant("celeriac", [process.execPath, `${CONTESTANTS}/celeriac.js`], arena);
}

export function bare(arena: Arena): Contestant {
  const [name, file] = arena.kind === "redis" ? ["ioredis", "bare-redis.js"] : ["amqplib", "bare-amqp.js"];
  return new Contestant(`bare ${name}`, [process.execPath, `${CONTESTANTS}/${file}`], arena);
}

export function pythonClient(arena: Arena, name = "Python Celery", env: NodeJS.ProcessEnv = {}): Contestant {
  return new Contestant(name, [arena.python, "bench/contestants/celery_bench.py"], arena, env);
}

/** The command's worker with two child processes, for Celery's to be compared with. */
export function celeriacProcesses(arena: Arena): Contestant {
  const args = ["dist/src/cli/main.js", "-A", "bench/contestants/app.mjs", "worker", "-P", "processes", "-c", "2"];
  return new Contestant("celeriac, processes -c 2", [process.execPath, ...args, "-l", "ERROR"], arena);
}

/** Celery's prefork worker with two processes. */
export function pythonWorker(arena: Arena): Contestant {
  const args = ["-A", "celery_bench", "--workdir", "bench/contestants", "worker", "-c", "2", "-l", "WARNING"];
  return new Contestant("Python Celery, prefork -c 2", [arena.python, "-m", "celery", ...args], arena);
}

export function add(figures: Figures, name: string, value: number): void {
  figures.set(name, [...(figures.get(name) ?? []), value]);
}
