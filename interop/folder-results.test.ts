import { randomUUID } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { taskMeta } from "../protocol/result/meta.ts";
import type { Celery } from "../src/index.ts";
import { testApp } from "../test/support/app.ts";
import { PythonClient } from "./python.ts";

const python = inject("python");

describe.skipIf(!python)("results in a folder (needs Python 3: script/setup installs it)", () => {
  const folder = mkdtempSync(join(tmpdir(), "celeriac-folder-"));
  let app: Celery;
  let client: PythonClient;

  beforeAll(() => {
    const backend = `file://${folder}`;
    app = testApp({ backend }).app;
    client = new PythonClient({ python, broker: "memory://", backend, queue: "unused" });
  });

  afterAll(async () => {
    await Promise.all([app?.close(), client?.[Symbol.asyncDispose]()]);
    rmSync(folder, { recursive: true, force: true });
  });

  async function stored(): Promise<void> {
    await client.run(
      `app.backend.store_result("theirs", 1, "SUCCESS")\n__import__("celery.result").result.GroupResult("group", [AsyncResult("m")]).save()\nresult = None`,
    );
    const meta = taskMeta({ taskId: "ours", state: "SUCCESS", result: 2, now: new Date().toISOString() });
    await (await app.backend()).storeResult(meta, { replyTo: null, correlationId: randomUUID() });
    expect(readdirSync(folder)).toHaveLength(3);
  }

  /** As if everything had been written 30 hours ago, which is longer than results are kept. */
  function age(): void {
    const before = new Date(Date.now() - 30 * 3_600_000);
    for (const file of readdirSync(folder)) utimesSync(join(folder, file), before, before);
  }

  it("are dropped by either side once they have expired, whoever wrote them", async () => {
    await stored();
    await client.run("app.backend.cleanup()");
    await (await app.backend()).cleanup?.(new Date());
    expect(readdirSync(folder)).toHaveLength(3);
    age();
    await (await app.backend()).cleanup?.(new Date());
    expect(readdirSync(folder)).toEqual([]);
    await stored();
    age();
    await client.run("app.backend.cleanup()");
    expect(readdirSync(folder)).toEqual([]);
  });
});
