import { fork } from "node:child_process";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import type { Pool, PoolOptions } from "../pool.ts";
import type { Child, ChildEvents, FromChild } from "./child.ts";
import { ChildPool } from "./child-pool.ts";

/** Milliseconds that a process which is gone may take to have its last words read. */
const LAST_WORDS_MS = 1000;

/** Runs tasks in processes: what blocks or crashes there harms nobody else, and can be killed. */
export function processPool(options: PoolOptions): Pool {
  return new ChildPool("processes", options, startProcess);
}

function startProcess(program: URL, index: number, events: ChildEvents): Child {
  const process_ = fork(fileURLToPath(program), [], {
    serialization: "advanced",
    env: { ...process.env, CELERIAC_CHILD: String(index) },
  });
  let over = false;
  const exit = (status: string): void => {
    if (over) return;
    over = true;
    events.onExit(status);
  };
  process_.on("message", (message) => events.onMessage(message as FromChild));
  process_.on("error", (error) => {
    // One that was never there; else what could not be sent to it, which its end tells better.
    if (process_.pid === undefined) exit(error.message);
  });
  process_.on("exit", (code, signal) => {
    const status = humanStatus(code, signal);
    // What it said last may still be on its way.
    if (!process_.connected) return exit(status);
    const timer = setTimeout(() => exit(status), LAST_WORDS_MS);
    process_.once("disconnect", () => {
      clearTimeout(timer);
      exit(status);
    });
  });
  return {
    pid: process_.pid ?? 0,
    send: (message) => {
      // That it is gone is told by its exit.
      if (process_.connected) process_.send(message, () => undefined);
    },
    kill: (signal) => void process_.kill(signal),
  };
}

/** Mirrors `billiard/common.py human_status`. */
function humanStatus(code: number | null, signal: NodeJS.Signals | null): string {
  return signal ? `signal ${constants.signals[signal]} (${signal})` : `exitcode ${code ?? 0}`;
}
