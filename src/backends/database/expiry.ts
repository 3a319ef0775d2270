import { isoFormat } from "../../../protocol/python/datetime.ts";
import type { ResultTable } from "./result-table.ts";
import type { Session } from "./session.ts";

/**
 * Drops the rows of both tables that are older than results are kept.
 * @param expires seconds; null or 0 to keep them
 */
export async function deleteExpired(
  session: Session<{ task: ResultTable; group: ResultTable }>,
  expires: number | null,
  now: Date,
): Promise<void> {
  if (!expires) return;
  const oldest = isoFormat(new Date(now.getTime() - expires * 1000));
  await session.run(({ task }) => task.deleteBefore(oldest));
  await session.run(({ group }) => group.deleteBefore(oldest));
}
