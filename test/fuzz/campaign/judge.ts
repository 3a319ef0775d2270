import { readFileSync } from "node:fs";
import { CeleryError } from "../../../protocol/errors.ts";
import { checkValue } from "./good-value.ts";
import { prototypeChanges } from "./prototypes.ts";
import { randomFrom } from "./random.ts";
import type { Target } from "./target.ts";

/** How long one message may keep the thread that everything else waits for, in milliseconds. */
const TIME_LIMIT_MS = 50;
/** How long it may take in all, with what other threads and the machine's other work take, in milliseconds. */
const WAIT_LIMIT_MS = 1_000;
/** How often a message that took longer is timed again, alone: the machine has other work, and garbage to collect. */
const RETRIALS = 20;
/** What one message may add to the most memory that the process ever had, in megabytes. */
const MEMORY_LIMIT_MB = 128;

export type Outcome = "value" | "refused";

/** What is wrong with one message, and how to have it again. */
export class Finding extends Error {
  constructor(target: Target, seed: string, number: number, message: unknown, what: string, cause?: unknown) {
    const again = `script/fuzz --target ${target.name} --seed ${seed} --only ${number}`;
    super(`${target.name}: ${what}\n  again: ${again}\n  message: ${shortened(target.show(message))}`, { cause });
    this.name = "Finding";
  }
}

/** The message of that number: the same for the same seed, whatever came before. */
export function messageOf(target: Target, seed: string, number: number): unknown {
  return target.make(randomFrom(`${seed}/${target.name}/${number}`));
}

/**
 * Reads one message and looks at what came of it.
 * @throws Finding for an error that is not of this package, a value that nobody can use, a changed prototype, or more
 *   time or memory than one message may take
 */
export async function judge(target: Target, seed: string, number: number): Promise<Outcome> {
  const message = messageOf(target, seed, number);
  const found = (what: string, cause?: unknown): Finding => new Finding(target, seed, number, message, what, cause);
  const memory = peakMegabytes();
  const { milliseconds, ...first } = await timed(target, message);
  const grown = peakMegabytes() - memory;
  if (grown > MEMORY_LIMIT_MB) throw found(`takes ${Math.round(grown)} MB of memory`);
  const changes = prototypeChanges();
  if (changes) throw found(`changes ${changes}`);
  if (milliseconds > TIME_LIMIT_MS) {
    const { busy, waiting } = await fastestOf(target, message);
    if (busy > TIME_LIMIT_MS) throw found(`keeps its thread for ${busy.toFixed(0)} ms`);
    if (waiting > WAIT_LIMIT_MS) throw found(`takes ${waiting.toFixed(0)} ms`);
  }
  if ("error" in first) {
    if (first.error instanceof CeleryError) return "refused";
    throw found(`is refused by ${first.error instanceof Error ? first.error.stack : first.error}`, first.error);
  }
  const wrong = checkValue(first.value);
  if (wrong) throw found(`gives ${wrong}`);
  return first.value === undefined ? "refused" : "value";
}

async function timed(
  target: Target,
  message: unknown,
): Promise<({ value: unknown } | { error: unknown }) & { milliseconds: number }> {
  const started = performance.now();
  try {
    const value = await target.read(message);
    return { value, milliseconds: performance.now() - started };
  } catch (error) {
    return { error, milliseconds: performance.now() - started };
  }
}

/** The least of several trials: of the thread's own time, and of the clock's. */
async function fastestOf(target: Target, message: unknown): Promise<{ busy: number; waiting: number }> {
  const fastest = { busy: Number.POSITIVE_INFINITY, waiting: Number.POSITIVE_INFINITY };
  for (let trial = 0; trial < RETRIALS; trial++) {
    const before = threadMilliseconds();
    const { milliseconds } = await timed(target, message);
    fastest.busy = Math.min(fastest.busy, before === undefined ? milliseconds : (threadMilliseconds() ?? 0) - before);
    fastest.waiting = Math.min(fastest.waiting, milliseconds);
    if (fastest.busy <= TIME_LIMIT_MS && fastest.waiting <= WAIT_LIMIT_MS) break;
  }
  return fastest;
}

/** How long this thread has had a processor, whoever else wanted one; undefined where the system does not say. */
function threadMilliseconds(): number | undefined {
  try {
    return Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ", 1)[0]) / 1e6;
  } catch {
    return undefined;
  }
}

function peakMegabytes(): number {
  return process.resourceUsage().maxRSS / 1024;
}

function shortened(text: string): string {
  return text.length <= 4000 ? text : `${text.slice(0, 4000)}… (${text.length} characters)`;
}
