import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeHeapSnapshot } from "node:v8";
import { z } from "zod";
import { type Command, command } from "../panel.ts";
import { int, text } from "./readers.ts";

const UNITS = [
  [2 ** 30, "GB"],
  [2 ** 20, "MB"],
  [2 ** 10, "KB"],
] as const;

/** Commands for whoever looks for a leak. Mirrors `celery/utils/debug.py`. */
export const MEMORY_COMMANDS: readonly Command[] = [
  command(
    { type: "inspect", name: "memsample", help: "Sample current RSS memory usage.", params: z.object({}) },
    ({ state }) => {
      const sample = resident();
      state.memorySamples.push(sample);
      return sample;
    },
  ),
  command(
    {
      type: "inspect",
      name: "memdump",
      help: "Dump statistics of previous memsample requests.",
      signature: "[n_samples=10]",
      args: [["samples", int]],
      params: z.object({ samples: z.int().positive().nullish() }),
    },
    ({ state }, { samples }) => {
      const lines = state.memorySamples.splice(0).slice(-(samples ?? 10));
      return `${[...lines.map((sample) => `- ${sample}`), `- rss (end): ${resident()}.`].join("\n")}\n`;
    },
  ),
  command(
    {
      type: "inspect",
      name: "objgraph",
      help: "Write a heap snapshot (memory-leak debugging). The worker stands still meanwhile.",
      signature: "[object_type=Request] [num=200 [max_depth=10]]",
      args: [
        ["type", text],
        ["num", int],
        ["max_depth", int],
      ],
      params: z.object({}),
    },
    ({ hostname }) => {
      const name = `celeriac-${hostname.replace(/[^\w.@-]/g, "_")}-${Date.now()}.heapsnapshot`;
      return { filename: writeHeapSnapshot(join(tmpdir(), name)) };
    },
  ),
];

/** `53.99MB` */
function resident(): string {
  const bytes = process.memoryUsage.rss();
  const [size, unit] = UNITS.find(([least]) => bytes >= least) ?? [1, "B"];
  return `${(bytes / size).toFixed(2)}${unit}`;
}
