import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GivenSettings } from "../src/index.ts";
import { memcachedProgram, startMemcached } from "../test/servers/memcached.ts";

/** A place for results, as each language is told of it. */
export interface ResultStore {
  backend: string;
  /** Where Python has another URL for it. */
  pythonBackend?: string;
  /** Settings of both, in Python's names. */
  settings?: Record<string, unknown>;
  /** More of the TypeScript side's own. */
  own?: GivenSettings;
  /** The record of a task as it lies there; undefined when there is none. */
  raw(taskId: string, prefix?: string): Promise<Buffer | undefined>;
  stop(): Promise<void>;
}

/** A kind of place. */
export interface ResultStoreKind {
  name: string;
  /** What is missing here; undefined where it can be had. */
  lacks: string | undefined;
  /** Whether Celery compresses what it stores there. */
  compression: boolean;
  start(): Promise<ResultStore>;
}

/** The key-value stores that results can be kept in. */
export function resultStoreKinds(): ResultStoreKind[] {
  const memcached = memcachedProgram() ? undefined : "memcached";
  return [
    { name: "a folder", lacks: undefined, compression: true, start: folderStore },
    { name: "memcached", lacks: memcached, compression: false, start: () => cacheStore(1) },
    { name: "three memcached", lacks: memcached, compression: false, start: () => cacheStore(3) },
  ];
}

async function cacheStore(count: number): Promise<ResultStore> {
  const servers = await Promise.all(Array.from({ length: count }, () => startMemcached()));
  const ask = async (port: number, key: string): Promise<Buffer | undefined> => {
    const socket = connect(port, "127.0.0.1");
    socket.write(`get ${key}\r\nquit\r\n`);
    const answer = Buffer.concat(await socket.toArray());
    const [, length] = /^VALUE \S+ \d+ (\d+)\r\n/.exec(answer.toString("latin1")) ?? [];
    const start = answer.indexOf("\n") + 1;
    return length === undefined ? undefined : answer.subarray(start, start + Number(length));
  };
  return {
    backend: `cache+memcached://${servers.map(({ port }) => `127.0.0.1:${port}`).join(";")}/`,
    async raw(taskId, prefix = "") {
      const found = await Promise.all(servers.map(({ port }) => ask(port, `${prefix}celery-task-meta-${taskId}`)));
      return found.find((value) => value !== undefined);
    },
    stop: async () => void (await Promise.all(servers.map((server) => server.stop()))),
  };
}

async function folderStore(): Promise<ResultStore> {
  const folder = mkdtempSync(join(tmpdir(), "celeriac-results-"));
  return {
    backend: `file://${folder}`,
    raw: (taskId, prefix = "") => readFile(join(folder, `${prefix}celery-task-meta-${taskId}`)).catch(() => undefined),
    stop: async () => rmSync(folder, { recursive: true, force: true }),
  };
}
