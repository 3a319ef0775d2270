import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { FilesystemBackend } from "../../../src/backends/filesystem.ts";
import { exerciseBackend } from "../../exercise/backend.ts";

const folder = mkdtempSync(join(tmpdir(), "celeriac-results-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

exerciseBackend({
  name: "A folder",
  make: (options) => new FilesystemBackend(options),
  url: () => `file://${folder}/results`,
});
