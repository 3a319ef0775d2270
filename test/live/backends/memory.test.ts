import { MemoryBackend } from "../../../src/backends/memory/memory-backend.ts";
import { exerciseBackend } from "../../exercise/backend.ts";

exerciseBackend({
  name: "Memory",
  make: (options) => new MemoryBackend(options),
  url: () => "memory://",
});
