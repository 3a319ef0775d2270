import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { COMPATIBILITIES, type Compatibility } from "../../protocol/compatibility.ts";

const FOLDER = join(import.meta.dirname, "../../interop/vectors/versions");

/** What `interop/vectors/versions.py` captured from one Celery. */
export interface VersionVectors {
  celery: string;
  /** The setting for a fleet that is as old as this one. */
  compatibility: Compatibility;
  headers: string;
  expiration: string[];
  groupIndex: (number | null)[];
  chordBodyKeys: string[];
  chordBodyOptions: string[];
  chordSize: number | null;
  typed: { repr: string; json: string }[];
  bytes: (string | null)[];
  pickles: { repr: string; bytes: string }[];
  dateDone: { shape: string; minutesAhead: number };
  utcoffset: string[];
  revoke: string;
  hello: string;
  mailbox: QueueVector;
  mailboxReply: QueueVector;
  rpcReply: QueueVector;
}

/** A queue's flags, its times in seconds. */
export interface QueueVector {
  durable: boolean;
  exclusive: boolean;
  autoDelete: boolean;
  expires: number | null;
  messageTtl: number | null;
}

/** All of them, the oldest first. */
export function versionVectors(): VersionVectors[] {
  return readdirSync(FOLDER)
    .sort()
    .map((file) => {
      const vectors = JSON.parse(readFileSync(join(FOLDER, file), "utf8"));
      const compatibility = COMPATIBILITIES.find((known) => vectors.celery.startsWith(`${known}.`));
      return { ...vectors, compatibility };
    });
}
