import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { judge, messageOf } from "./judge.ts";
import type { Target } from "./target.ts";
import { TARGETS } from "./targets.ts";
import type { Answer, Portion } from "./thread.ts";

/** A message that keeps its thread for so long is told as one that hangs, in milliseconds. */
const HANG_MS = 15_000;
/** Messages that a thread is given at a time. */
const PORTION = 500;
/** Megabytes of objects that a thread may have. */
const HEAP_LIMIT_MB = 512;

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "240000" },
    seed: { type: "string", default: String(Date.now()) },
    target: { type: "string", multiple: true, default: [] },
    only: { type: "string" },
    threads: { type: "string", default: String(availableParallelism()) },
  },
});

const targets = values.target.length === 0 ? TARGETS : TARGETS.filter(({ name }) => values.target.includes(name));
if (targets.length === 0) {
  throw new Error(`no target ${values.target.join(", ")}; there are: ${TARGETS.map(({ name }) => name).join(", ")}`);
}
process.exitCode = values.only === undefined ? await sendAll() : await sendOne(Number(values.only));

/** One message, here and shown. @returns the exit code */
async function sendOne(number: number): Promise<number> {
  const [target] = targets as [Target];
  console.log(target.show(messageOf(target, values.seed, number)));
  const outcome = await judge(target, values.seed, number);
  console.log(outcome);
  return 0;
}

async function sendAll(): Promise<number> {
  const each = Math.ceil(Number(values.count) / targets.length);
  console.log(`${each * targets.length} messages, ${targets.length} targets, seed ${values.seed}`);
  const portions = targets.flatMap(({ name }) =>
    Array.from({ length: Math.ceil(each / PORTION) }, (_, n): Portion => {
      return { target: name, seed: values.seed, first: n * PORTION, end: Math.min(each, (n + 1) * PORTION) };
    }),
  );
  const totals = new Map<string, Answer>();
  const started = performance.now();
  const lanes = Array.from({ length: Number(values.threads) }, () => lane(portions, totals));
  await Promise.all(lanes);
  const seconds = (performance.now() - started) / 1000;
  let [judged, failed] = [0, 0];
  for (const { target, value, refused, findings } of totals.values()) {
    judged += value + refused + findings.length;
    failed += findings.length;
    console.log(`${target}: ${value} read, ${refused} refused, ${findings.length} wrong`);
    for (const finding of findings.slice(0, 3)) console.log(`  ${finding}`);
  }
  const peak = Math.round(process.resourceUsage().maxRSS / 1024);
  console.log(`${judged} messages in ${seconds.toFixed(0)} s, at most ${peak} MB, ${failed} wrong`);
  return failed === 0 && judged === each * targets.length ? 0 : 1;
}

/** Gives a thread one portion after the other, and has another thread when it ends or hangs. */
async function lane(portions: Portion[], totals: Map<string, Answer>): Promise<void> {
  let thread = start();
  for (let portion = portions.shift(); portion; portion = portions.shift()) {
    const answer = await thread.judge(portion);
    const total = totals.get(answer.target);
    totals.set(answer.target, {
      target: answer.target,
      value: (total?.value ?? 0) + answer.value,
      refused: (total?.refused ?? 0) + answer.refused,
      findings: [...(total?.findings ?? []), ...answer.findings],
    });
    if (!thread.ended()) continue;
    // What comes after the message that ended the thread is another's to judge.
    const done = portion.first + answer.value + answer.refused + answer.findings.length;
    if (done < portion.end) portions.unshift({ ...portion, first: done });
    thread = start();
  }
  await thread.stop();
}

interface Thread {
  judge(portion: Portion): Promise<Answer>;
  ended(): boolean;
  stop(): Promise<unknown>;
}

function start(): Thread {
  // The number of the message in hand, and how many were read and refused before.
  const progress = new Int32Array(new SharedArrayBuffer(16));
  const worker = new Worker(new URL("./thread.js", import.meta.url), {
    workerData: progress,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_LIMIT_MB },
  });
  let over = false;
  let onAnswer = (_: Answer): void => {};
  let onFailure = (_: string): void => {};
  worker.on("message", (answer) => onAnswer(answer));
  worker.on("error", (error) => onFailure(`ends its thread: ${error.stack}`));
  worker.on("exit", (code) => onFailure(`ends its thread: ${code}`));
  return {
    ended: () => over,
    stop: () => {
      onFailure = () => {};
      return worker.terminate();
    },
    judge: ({ target, seed, first, end }) =>
      new Promise((resolve) => {
        let seen = -1;
        const watch = setInterval(() => {
          if (progress[0] === seen) onFailure(`hangs for ${HANG_MS / 1000} s`);
          seen = progress[0] ?? 0;
        }, HANG_MS);
        onAnswer = (answer) => {
          clearInterval(watch);
          resolve(answer);
        };
        onFailure = (what) => {
          if (over) return;
          over = true;
          void worker.terminate();
          const [number = 0, value = 0, refused = 0] = progress;
          const again = `script/fuzz --target ${target} --seed ${seed} --only ${number}`;
          onAnswer({ target, value, refused, findings: [`${target}: ${what}\n  again: ${again}`] });
        };
        worker.postMessage({ target, seed, first, end });
      }),
  };
}
