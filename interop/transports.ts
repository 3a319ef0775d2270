import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import type { GivenSettings } from "../src/index.ts";
import type { PythonSide } from "./python.ts";

/** A broker and a place for results, as both languages are told of them. */
export interface Transport {
  name: string;
  broker: string;
  backend: string;
  /** Whether any process can read a result, or only the one that sent the task. */
  sharedResults: boolean;
  /** Whether chords can be joined with this backend. */
  chords: boolean;
  transportOptions?: Record<string, unknown>;
}

/** Every transport that can be had here. */
export function transports(): Transport[] {
  const redis = inject("redisUrl");
  const amqp = inject("amqpUrl");
  const folder = mkdtempSync(join(tmpdir(), "celeriac-interop-"));
  // Python makes neither.
  for (const name of ["queue", "results"]) mkdirSync(join(folder, name));
  const rabbit = { broker: amqp, chords: false };
  return [
    { name: "Redis", broker: redis, backend: redis, sharedResults: true, chords: true },
    ...(amqp
      ? [
          { ...rabbit, name: "RabbitMQ, results by rpc", backend: "rpc://", sharedResults: false },
          { ...rabbit, name: "RabbitMQ, results in Redis", backend: redis, sharedResults: true, chords: true },
        ]
      : []),
    {
      name: "a folder",
      broker: "filesystem://",
      backend: `file://${folder}/results`,
      sharedResults: true,
      chords: true,
      transportOptions: {
        data_folder_in: `${folder}/queue`,
        data_folder_out: `${folder}/queue`,
        control_folder: `${folder}/control`,
      },
    },
  ];
}

/** The two sides of one test: they share all that a fleet shares, and nothing with other tests. */
export interface Sides {
  settings: GivenSettings;
  python: PythonSide;
  /** Queues that each language's worker takes from. */
  queues: { python: string; typescript: string };
}

/** @param python interpreter of the Python side */
export function sidesOf(transport: Transport, python: string): Sides {
  const own = randomUUID().slice(0, 8);
  const queues = { python: `python-${own}`, typescript: `typescript-${own}` };
  const shared = {
    control_exchange: `control-${own}`,
    event_exchange: `events-${own}`,
    ...(transport.transportOptions ? { broker_transport_options: transport.transportOptions } : {}),
  };
  const { broker, backend } = transport;
  return {
    settings: { broker, backend, ...shared, taskDefaultQueue: queues.typescript },
    python: { python, broker, backend, queue: queues.python, settings: shared },
    queues,
  };
}
