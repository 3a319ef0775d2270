import { parentPort, workerData } from "node:worker_threads";
import { Finding, judge } from "./judge.ts";
import { TARGETS } from "./targets.ts";

/** Messages of one target that are to be judged. */
export interface Portion {
  target: string;
  seed: string;
  /** Number of the first one. */
  first: number;
  /** Number after the last one. */
  end: number;
}

/** What came of them. */
export interface Answer {
  target: string;
  value: number;
  refused: number;
  findings: string[];
}

const progress = workerData as Int32Array;

parentPort?.on("message", async ({ target: name, seed, first, end }: Portion) => {
  const target = TARGETS.find((known) => known.name === name);
  if (!target) throw new Error(`no target ${name}`);
  const answer: Answer = { target: name, value: 0, refused: 0, findings: [] };
  for (let number = first; number < end; number++) {
    [progress[0], progress[1], progress[2]] = [number, answer.value, answer.refused];
    try {
      answer[await judge(target, seed, number)]++;
    } catch (error) {
      if (!(error instanceof Finding)) throw error;
      answer.findings.push(error.message);
    }
  }
  parentPort?.postMessage(answer);
});
