/** The values of the setting `compatibility`, the oldest first. */
export const COMPATIBILITIES = ["5.0", "5.2", "5.3", "5.4", "5.5", "5.6", "5.7"] as const;

/** The oldest Celery in the fleet, which decides how what later versions changed is written. */
export type Compatibility = (typeof COMPATIBILITIES)[number];

/**
 * What Celery changed on the wire, and the version that first wrote it so. Whatever the setting, both forms are read.
 * Seen in the bytes of each version; `docs/versions.md` tells each at length.
 */
const SINCE = {
  /** The header `ignore_result`. */
  ignoreResultHeader: "5.2",
  /** The property `expiration`. */
  expirationProperty: "5.2",
  /** The key `.s` of a chord; before it the signature of the body told the size, in `chord_size`. */
  chordSizeKey: "5.2",
  /** Pickles of protocol 4, before that of 2. */
  pickleProtocol4: "5.2",
  /** `worker` of an extended result is the node's name, before that the host's. */
  workerNodename: "5.2",
  /** The headers `replaced_task_nesting`, `stamped_headers` and `stamps`. */
  stampHeaders: "5.3",
  /** The header `group_index` in groups that are no chord's. */
  groupIndexOfGroups: "5.3",
  /** JSON keeps the type of datetimes, decimals, UUIDs and bytes; before, they were text, and bytes an error. */
  typedJson: "5.3",
  /** `revoke` answers with the repr of a set. */
  revokedSetRepr: "5.3",
  /** `date_done` has an offset. */
  dateDoneOffset: "5.4",
  /** `date_done` is in the application's time zone, before that in UTC. */
  dateDoneTimezone: "5.5",
  /** `group_id` among the options of a chord's body, and so in its stored result. */
  chordBodyGroupId: "5.6",
  /** The keys `.d` and `.c` of a chord, by which a part counts once and one worker sends the body. */
  chordClaims: "5.7",
  /** `Reject(requeue=False)` is stored as a failure, before that nothing was. */
  rejectStored: "5.7",
  /** The column `result` in a database has the serializer's bytes, before that a pickle. */
  serializedRows: "5.7",
  /** Compressed results. */
  resultCompression: "5.7",
  /** `utcoffset` of an event is a float. */
  floatUtcoffset: "5.7",
  /** `revoked` in the reply to `hello` is a list, before that a mapping to the moments of revocation. */
  revokedList: "5.7",
  /** A worker's mailbox is an exclusive queue. */
  exclusiveMailbox: "5.7",
  /** The queue for results by `rpc://` is durable. */
  durableReplyQueue: "5.7",
  /** Redis: the keys that tell bindings of queues which expire from the others. */
  bindingDeadlines: "5.7",
} as const satisfies Record<string, Compatibility>;

/** One thing that Celery came to write otherwise. */
export type WireChange = keyof typeof SINCE;

/** Whether a fleet whose oldest Celery is this one writes it the new way. */
export function writes(compatibility: Compatibility, change: WireChange): boolean {
  return COMPATIBILITIES.indexOf(compatibility) >= COMPATIBILITIES.indexOf(SINCE[change]);
}
