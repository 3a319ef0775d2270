import { appendFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { SoftTimeLimitExceeded } from "celeriac";
import { bound, task } from "./app.ts";
import { redis } from "./redis.ts";

export const identity = task("identity", (x: unknown) => x);
export const add = task("add", (x: Addend, y: Addend, z: Addend | null = null) => {
  const sum = plus(x, y);
  return z ? plus(sum, z) : sum;
});
task("mul", (x: number, y: number) => x * y);
task("add_not_typed", (x: number, y: number) => x + y);
task("add_ignore_result", (x: number, y: number) => x + y, { ignoreResult: true });
task("add_with_result", (x: number, y: number) => x + y, { ignoreResult: false });
export const tsum = task("tsum", (nums: number[]) => sum(nums));
task("xsum", (nums: (number | number[])[]) => sum(nums.map((num) => (Array.isArray(num) ? sum(num) : num))));

task("delayed_sum", async (numbers: number[], pause_time = 1) => {
  await sleep(pause_time * 1000);
  return sum(numbers);
});

bound("delayed_sum_with_soft_guard", async (self, numbers: number[], pause_time = 1) => {
  try {
    await sleep(pause_time * 1000, undefined, { signal: self.signal });
    return sum(numbers);
  } catch (error) {
    if (self.signal.reason instanceof SoftTimeLimitExceeded) return 0;
    throw error;
  }
});

bound("sum_and_record", async (self, values: number[], redis_key: string) => {
  await redis.rpush(redis_key, self.request.id);
  return sum(values);
});

task("write_to_file_and_return_int", async (file_name: string, i: number) => {
  await appendFile(file_name, `${i}\n`);
  return i;
});

const addition = ({ x, y }: { x: number; y: number }) => ({ result: x + y });
task("add_pydantic", (data: { x: number; y: number }) => addition(data));
task("add_pydantic_string_annotations", (data: { x: number; y: number }) => addition(data));

// Only ever run in the suite's own process.
task("chain_add", async (x: number, y: number) => void (await add.s(x, x).pipe(add.s(y)).applyAsync()));

type Addend = number | string | unknown[];

/** Python's `+`: lists are joined. */
function plus(x: Addend, y: Addend): Addend {
  if (Array.isArray(x) && Array.isArray(y)) return [...x, ...y];
  return (x as number) + (y as number);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
