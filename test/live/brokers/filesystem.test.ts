import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { FilesystemBroker } from "../../../src/brokers/filesystem/filesystem-broker.ts";
import { exerciseBroker } from "../../exercise/broker.ts";

const folder = mkdtempSync(join(tmpdir(), "celeriac-filesystem-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

exerciseBroker({
  name: "A folder",
  make: (options) => new FilesystemBroker(options),
  urls: () => ["filesystem://"],
  transportOptions: () => ({
    data_folder_in: join(folder, "queue"),
    data_folder_out: join(folder, "queue"),
    control_folder: join(folder, "control"),
  }),
  lacks: { priorities: "kombu's files have none" },
});
