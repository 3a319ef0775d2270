import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand, GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Redis } from "ioredis";
import type { Binary } from "mongodb";
import { inject } from "vitest";
import { S3Backend } from "../examples/s3-backend/s3-backend.ts";
import type { GivenSettings } from "../src/index.ts";
import { memcachedProgram, startMemcached } from "../test/servers/memcached.ts";
import { mongodbProgram, startMongodb } from "../test/servers/mongodb.ts";
import { startS3 } from "../test/servers/s3.ts";
import type { PythonSide } from "./python.ts";

/** A place for results, as each language is told of it. */
export interface ResultStore {
  backend: string;
  /** Where Python has another URL for it. */
  pythonBackend?: string;
  /** Settings of both, in Python's names. */
  settings?: Record<string, unknown>;
  /** More of the TypeScript side's own. */
  own?: GivenSettings;
  /** More of the Python side's own. */
  side?: Partial<PythonSide>;
  /** What Python runs first. */
  setup?: string;
  /** Python's module of tasks, and of an error of the application's own; `tasks` unless given. */
  errors?: string;
  /** Redis unless given. */
  broker?: string;
  /** The record of a task as it lies there; undefined when there is none. */
  raw?(taskId: string, prefix?: string): Promise<Buffer | undefined>;
  stop(): Promise<void>;
}

/** What a kind of place may be unable to do. */
export type ResultAbility = "bytes" | "compression" | "extended" | "final" | "forget" | "groups" | "prefix" | "stamps";

/** A kind of place. */
export interface ResultStoreKind {
  name: string;
  /** What is missing here; undefined where it can be had. */
  lacks: string | undefined;
  /** Why a test is not for it. */
  unable?: Partial<Record<ResultAbility, string>>;
  start(): Promise<ResultStore>;
}

/** The key-value stores that results can be kept in. */
export function resultStoreKinds(): ResultStoreKind[] {
  const memcached = memcachedProgram() ? undefined : "memcached";
  const uncompressed = { compression: "Celery compresses nothing there" };
  const documents = {
    bytes: "documents have no bytes of their own",
    groups: "only ids of a group are kept",
    prefix: "documents have no keys",
    stamps: "Celery writes stamps there, and reads none",
  };
  return [
    { name: "Redis", lacks: undefined, start: redisStore },
    { name: "a folder", lacks: undefined, start: folderStore },
    { name: "memcached", lacks: memcached, unable: uncompressed, start: () => cacheStore(1) },
    { name: "MongoDB", lacks: mongodbProgram() ? undefined : "MongoDB", unable: documents, start: mongodbStore },
    { name: "S3, by the example", lacks: undefined, unable: uncompressed, start: s3Store },
    { name: "three memcached", lacks: memcached, unable: uncompressed, start: () => cacheStore(3) },
  ];
}

async function redisStore(): Promise<ResultStore> {
  const backend = inject("redisUrl");
  const redis = new Redis(backend);
  return {
    backend,
    raw: async (taskId, prefix = "") => (await redis.getBuffer(`${prefix}celery-task-meta-${taskId}`)) ?? undefined,
    stop: async () => redis.disconnect(),
  };
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

async function mongodbStore(): Promise<ResultStore> {
  const { MongoClient } = await import("mongodb");
  const server = await startMongodb();
  const client = new MongoClient(server.url);
  const tasks = client.db("shop").collection<{ _id: string; result: Binary | string }>("celery_taskmeta");
  return {
    backend: `${server.url}/shop`,
    async raw(taskId) {
      const found = await tasks.findOne({ _id: taskId });
      return found ? Buffer.from(typeof found.result === "string" ? found.result : found.result.buffer) : undefined;
    },
    async stop() {
      await client.close();
      await server.stop();
    },
  };
}

async function s3Store(): Promise<ResultStore> {
  const server = await startS3(inject("python"));
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  const config = { endpoint: server.url, region: "us-east-1", credentials, forcePathStyle: true };
  const client = new S3Client(config);
  await client.send(new CreateBucketCommand({ Bucket: "results" }));
  return {
    backend: "s3://results/base/",
    pythonBackend: "s3",
    settings: {
      s3_bucket: "results",
      s3_base_path: "base/",
      s3_endpoint_url: server.url,
      s3_region: "us-east-1",
      s3_access_key_id: "test",
      s3_secret_access_key: "test",
    },
    own: { overrideBackends: { s3: (options) => new S3Backend(options, config) } },
    async raw(taskId, prefix = "") {
      const key = { Bucket: "results", Key: `base/${prefix}celery-task-meta-${taskId}` };
      const found = await client.send(new GetObjectCommand(key)).catch(() => undefined);
      const bytes = await found?.Body?.transformToByteArray();
      return bytes && Buffer.from(bytes);
    },
    async stop() {
      client.destroy();
      await server.stop();
    },
  };
}
