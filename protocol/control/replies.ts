import { type Compatibility, writes } from "../compatibility.ts";
import { repr } from "../python/repr.ts";

/**
 * What `revoke` answers where nothing was to be ended. Mirrors `celery/worker/control.py revoke`: Python's `repr` of a
 * set from 5.3 on.
 */
export function flaggedAsRevoked(ids: readonly string[], compatibility: Compatibility): string {
  if (!writes(compatibility, "revokedSetRepr")) return `tasks ${ids.join(", ")} flagged as revoked`;
  return `tasks ${ids.length === 0 ? "set()" : `{${ids.map((id) => repr(id)).join(", ")}}`} flagged as revoked`;
}

/** A revoked task, and the moment by the machine's monotonic clock, in seconds. */
export type Revocation = readonly [id: string, moment: number];

/**
 * The field `revoked` of the reply to `hello`: ids, or up to 5.6 what the workers' own table holds.
 * Mirrors `celery/worker/control.py hello`.
 */
export function revokedReply(revoked: readonly Revocation[], compatibility: Compatibility): unknown {
  if (writes(compatibility, "revokedList")) return revoked.map(([id]) => id);
  return Object.fromEntries(revoked.map(([id, moment]) => [id, [moment, id]]));
}
