import { MemoryBroker } from "../../../src/brokers/memory/memory-broker.ts";
import { exerciseBroker } from "../../exercise/broker.ts";

exerciseBroker({
  name: "Memory",
  make: (options) => new MemoryBroker(options),
  urls: () => ["memory://"],
  lacks: { priorities: "kombu's memory transport has none" },
});
