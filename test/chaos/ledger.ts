import { existsSync, readFileSync } from "node:fs";

/** What became of the tasks that were sent, by what the workers wrote down while they ran them. */
export interface Account {
  /** Tasks that the broker had taken. */
  sent: number;
  /** Of those: run to the end, at least once. */
  done: number;
  /** Of those: run to the end more than once. */
  duplicates: number;
  /** Never run to the end, by number. */
  lost: number[];
}

/** Reads a ledger. @param sent numbers of the tasks that were sent */
export function account(path: string, sent: readonly number[]): Account {
  const ends = new Map<number, number>();
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
  for (const line of lines) {
    const [what, number] = line.split(" ");
    if (what === "end") ends.set(Number(number), (ends.get(Number(number)) ?? 0) + 1);
  }
  return {
    sent: sent.length,
    done: sent.filter((number) => ends.has(number)).length,
    duplicates: sent.filter((number) => (ends.get(number) ?? 0) > 1).length,
    lost: sent.filter((number) => !ends.has(number)),
  };
}
