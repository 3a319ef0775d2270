import { z } from "zod";
import { settingsTable } from "../../app/settings-table.ts";
import { type Command, command, NO_REPLY, ok } from "../panel.ts";
import { bool, flag } from "./readers.ts";
import { stats } from "./stats.ts";

const none = z.object({});

/** Commands about the worker as a whole. */
export const WORKER_COMMANDS: readonly Command[] = [
  command({ type: "inspect", name: "ping", help: "Ping worker(s).", params: none }, () => ok("pong")),
  command({ type: "inspect", name: "stats", help: "Request worker statistics/information.", params: none }, stats),
  command(
    {
      type: "inspect",
      name: "report",
      help: "Information about the installation for bug reports.",
      params: none,
    },
    ({ report }) => ok(report()),
  ),
  command(
    {
      type: "inspect",
      name: "conf",
      alias: "dump_conf",
      help: "List configuration.",
      signature: "[include_defaults=False]",
      args: [["with_defaults", bool]],
      params: z.object({ with_defaults: flag }),
    },
    ({ settings, givenSettings }, args) => settingsTable(settings, args.with_defaults ? null : givenSettings),
  ),
  command(
    {
      type: "control",
      name: "shutdown",
      help: "Shutdown worker(s).",
      params: z.object({ msg: z.string().default("Got shutdown from remote") }),
    },
    ({ log, shutdown }, { msg }) => {
      log.warn({}, msg);
      shutdown();
      return NO_REPLY;
    },
  ),
];
