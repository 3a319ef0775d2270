import { SHARE_ENV, Worker } from "node:worker_threads";
import type { Pool, PoolOptions } from "../pool.ts";
import type { Child, ChildEvents, FromChild } from "./child.ts";
import { ChildPool } from "./child-pool.ts";

/** Runs tasks in threads: JavaScript that blocks there holds up nobody else, and can be ended; a crash ends them all. */
export function threadPool(options: PoolOptions): Pool {
  return new ChildPool("threads", options, (program, index, events) => startThread(program, index, events, options));
}

function startThread(program: URL, index: number, events: ChildEvents, { log }: PoolOptions): Child {
  const thread = new Worker(program, { workerData: { celeriacChild: index }, env: SHARE_ENV });
  thread.on("message", (message: FromChild) => events.onMessage(message));
  thread.on("error", (error) => log.error({ err: error }, `A thread of the pool ended: ${error.message}`));
  thread.on("exit", (code) => events.onExit(`exitcode ${code}`));
  return {
    pid: process.pid,
    send: (message) => thread.postMessage(message),
    kill: () => void thread.terminate(),
  };
}
