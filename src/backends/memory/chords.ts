import { isNested, type ResultNode } from "../../../protocol/result/result-tuple.ts";
import type { ChordPart, ChordStore, ReadyChord } from "../backend.ts";
import type { MemoryChord, MemoryStore } from "./store.ts";

/** Counts a chord's parts in memory; whoever brings the last one has the body to send. */
export class MemoryChords implements ChordStore {
  readonly #store: MemoryStore;

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  async setSize(groupId: string, size: number): Promise<void> {
    this.#chord(groupId).size = size;
  }

  async saveHeader(header: ResultNode): Promise<void> {
    if (isNested(header)) this.#store.headers.set(header.id, header);
  }

  async addPart(groupId: string): Promise<void> {
    this.#chord(groupId).added += 1;
  }

  async partReturned(part: ChordPart): Promise<ReadyChord | null> {
    const { groupId } = part;
    const chord = this.#chord(groupId);
    if (!chord.parts.has(part.taskId)) chord.parts.set(part.taskId, part);
    if (chord.size === 0 || chord.parts.size < chord.size + chord.added || chord.claimed) return null;
    chord.claimed = true;
    const header = this.#store.headers.get(groupId) ?? null;
    return {
      parts: header ? null : [...chord.parts.values()].sort(byIndex),
      header,
      extendClaim: async () => true,
      done: async () => this.#forget(groupId),
      // Kept: a part that comes again finds it claimed.
      failed: async () => undefined,
    };
  }

  #chord(groupId: string): MemoryChord {
    const chord = this.#store.chords.get(groupId) ?? { size: 0, added: 0, parts: new Map(), claimed: false };
    this.#store.chords.set(groupId, chord);
    return chord;
  }

  #forget(groupId: string): void {
    this.#store.chords.delete(groupId);
    this.#store.headers.delete(groupId);
  }
}

function byIndex(one: ChordPart, other: ChordPart): number {
  return (one.groupIndex ?? Number.POSITIVE_INFINITY) - (other.groupIndex ?? Number.POSITIVE_INFINITY) || 0;
}
