import { connect } from "node:net";
import { describe, expect, inject, it } from "vitest";
import { memcachedProgram, startMemcached } from "../test/servers/memcached.ts";
import { testApp } from "../test/support/app.ts";
import { PythonClient } from "./python.ts";
import { ResultSides } from "./result-sides.ts";

const python = inject("python");
const lacks = python ? (memcachedProgram() ? undefined : "memcached") : "Python 3";

describe.skipIf(lacks)(`results in memcached${lacks ? ` (needs ${lacks})` : ""}`, () => {
  it("both keep results as long", async () => {
    const server = await startMemcached();
    const backend = `cache+${server.url}`;
    const settings = { result_expires: 1000 };
    const client = new PythonClient({ python, broker: "memory://", backend, queue: "unused", settings });
    await client.run("from results import *");
    const sides = new ResultSides(testApp({ backend, ...settings }).app, client);
    const seconds = async (): Promise<number> => {
      const socket = connect(server.port, "127.0.0.1");
      socket.write(`mg celery-task-meta-${sides.id} t\r\nquit\r\n`);
      const answer = Buffer.concat(await socket.toArray()).toString();
      return Number(/^HD t(-?\d+)/.exec(answer)?.[1]);
    };
    const [least, most] = [980, 1000];
    await sides.fromPython(`1, "SUCCESS"`);
    const theirs = await seconds();
    await sides.fromTypescript("SUCCESS", 1);
    const ours = await seconds();
    for (const one of [theirs, ours]) {
      expect(one).toBeGreaterThan(least);
      expect(one).toBeLessThanOrEqual(most);
    }
    await Promise.all([sides.app.close(), client[Symbol.asyncDispose]()]);
    await server.stop();
  });
});
