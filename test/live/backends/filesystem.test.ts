import { randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { FilesystemBackend } from "../../../src/backends/filesystem.ts";
import { backendOptions, exerciseBackend, record } from "../../exercise/backend.ts";

const folder = mkdtempSync(join(tmpdir(), "celeriac-results-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

exerciseBackend({
  name: "A folder",
  make: (options) => new FilesystemBackend(options),
  url: () => `file://${folder}/results`,
});

describe("a folder of results", () => {
  const url = () => `file://${folder}/results`;

  it("is not left by an id that looks like a path", async () => {
    const backend = new FilesystemBackend(backendOptions({ url }));
    const id = "../../escaped";
    for (const call of [
      backend.storeResult(record(id, "SUCCESS", 1)),
      backend.getTaskMeta(id),
      backend.forget(id),
      backend.wait(id, AbortSignal.timeout(5_000)),
    ]) {
      await expect(call).rejects.toThrow(/a file cannot be called "celery-task-meta-..\/..\/escaped"/);
    }
    expect(existsSync(join(folder, "escaped"))).toBe(false);
    await backend.close();
  });

  it("drops what was not written since its expiry", async () => {
    const backend = new FilesystemBackend({ ...backendOptions({ url }), expires: 60 });
    const [old, young] = [randomUUID(), randomUUID()];
    for (const id of [old, young]) await backend.storeResult(record(id, "SUCCESS", 1));
    const before = Date.now() / 1000 - 120;
    utimesSync(join(folder, "results", `celery-task-meta-${old}`), before, before);
    await backend.cleanup();
    expect((await backend.getTaskMeta(old)).status).toBe("PENDING");
    expect((await backend.getTaskMeta(young)).status).toBe("SUCCESS");
    await backend.cleanup(new Date(Date.now() + 120_000));
    expect((await backend.getTaskMeta(young)).status).toBe("PENDING");
    await backend.close();
  });
});
