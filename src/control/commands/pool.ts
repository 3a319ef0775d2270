import { z } from "zod";
import { type Command, command, nok, ok } from "../panel.ts";
import type { PanelContext } from "../panel-context.ts";
import { int } from "./readers.ts";

const some = z.object({ n: z.int().positive().default(1) });

/** Commands about the pool. */
export const POOL_COMMANDS: readonly Command[] = [
  command(
    {
      type: "control",
      name: "pool_grow",
      help: "Grow pool by n processes/threads.",
      signature: "[N=1]",
      args: [["n", int]],
      params: some,
    },
    (context, { n }) => resize(context, "pool_grow", n) ?? ok("pool will grow"),
  ),
  command(
    {
      type: "control",
      name: "pool_shrink",
      help: "Shrink pool by n processes/threads.",
      signature: "[N=1]",
      args: [["n", int]],
      params: some,
    },
    (context, { n }) => resize(context, "pool_shrink", -n) ?? ok("pool will shrink"),
  ),
  command(
    {
      type: "control",
      name: "pool_restart",
      help: "Restart execution pool.",
      params: z.object({}),
    },
    ({ settings, pool }) => {
      if (!settings.workerPoolRestarts) throw new RangeError("Pool restarts not enabled");
      pool.restart();
      return ok("reload started");
    },
  ),
  command(
    {
      type: "control",
      name: "autoscale",
      help: "Modify autoscale settings.",
      signature: "[max [min]]",
      args: [
        ["max", int],
        ["min", int],
      ],
      params: z.object({ max: z.int().nonnegative().nullish(), min: z.int().nonnegative().nullish() }),
    },
    ({ autoscaler }, { max = null, min = null }) => {
      if (!autoscaler) throw new RangeError("Autoscale not enabled");
      const now = autoscaler.update(max, min);
      return ok(`autoscale now max=${now.max} min=${now.min}`);
    },
  ),
];

/** @returns why not */
function resize({ autoscaler, pool, consumer }: PanelContext, name: string, by: number): unknown {
  if (autoscaler) return nok(`${name} is not supported with autoscale. Adjust autoscale range instead.`);
  if (pool.limit + by < 1) throw new RangeError("Can't shrink pool. All processes busy!");
  pool.resize(pool.limit + by);
  consumer.updatePrefetch();
  return undefined;
}
