import { randomUUID } from "node:crypto";
import type { ResultKeys } from "../../../protocol/result/keys.ts";
import { isNested, type ResultNode } from "../../../protocol/result/result-tuple.ts";
import { asBuffer } from "../../buffer.ts";
import type { ChordPart, ChordStore, ReadyChord, ResultCodec } from "../backend.ts";
import type { ScriptedRedis } from "./scripts.ts";

/** Seconds that the right to send a chord's body holds at first, and that the mark of a finished chord stays. */
const CLAIM_SECONDS = 10;
const DONE_SECONDS = 300;

/** What the store needs of the backend. */
export interface ChordContext {
  keys: ResultKeys;
  codec: ResultCodec;
  /** Seconds; 0 for ever. */
  expires: number;
  groupExpires: number;
  /** `result_chord_ordered`: parts in the order of the header, else as they come. */
  ordered: boolean;
  /** Whether parts count once and one worker claims the body, as from Celery 5.7 on. */
  claims: boolean;
  whenReady(): Promise<ScriptedRedis>;
  saveGroup(group: ResultNode): Promise<void>;
  restoreGroup(groupId: string): Promise<ResultNode | null>;
}

/** Chords on Redis as Celery 5.7 keeps them, or as those before do. Mirrors `celery/backends/redis.py on_chord_part_return`. */
export class RedisChords implements ChordStore {
  readonly #context: ChordContext;

  constructor(context: ChordContext) {
    this.#context = context;
  }

  async setSize(groupId: string, size: number): Promise<void> {
    const redis = await this.#context.whenReady();
    const { keys, expires, claims } = this.#context;
    if (!claims) {
      await this.#setSizeAndTell(redis, keys.group(groupId, ".s"), size);
      return;
    }
    // A frozen chord that is applied again has the same id, and is a new run.
    await redis.del(keys.group(groupId, ".c"));
    if (expires > 0) await redis.set(keys.group(groupId, ".s"), size, "EX", expires);
    else await redis.set(keys.group(groupId, ".s"), size);
  }

  /** Celery before 5.7 stores the size as it stores a result. */
  async #setSizeAndTell(redis: ScriptedRedis, key: string, size: number): Promise<void> {
    const { expires } = this.#context;
    const pipeline = redis.multi();
    if (expires > 0) pipeline.setex(key, expires, size);
    else pipeline.set(key, size);
    for (const [error] of (await pipeline.publish(key, String(size)).exec()) ?? []) if (error) throw error;
  }

  async saveHeader(header: ResultNode): Promise<void> {
    if (isNested(header)) await this.#context.saveGroup(header);
  }

  async addPart(groupId: string): Promise<void> {
    const redis = await this.#context.whenReady();
    await redis.incr(this.#context.keys.group(groupId, ".t"));
  }

  async partReturned(part: ChordPart): Promise<ReadyChord | null> {
    const { keys, codec, ordered, claims, expires, groupExpires } = this.#context;
    const { groupId, taskId, groupIndex, state, result, size } = part;
    const record = asBuffer(await codec.pack([1, taskId, state, result]));
    const redis = await this.#context.whenReady();
    const token = randomUUID().replaceAll("-", "");
    const [count, , , claimed] = await redis.celeriacPartReturned(
      ...[".j", ".t", ".s", ".d", "", ".c"].map((suffix) => keys.group(groupId, suffix)),
      taskId,
      record,
      ordered ? 1 : 0,
      groupIndex ?? "+inf",
      expires,
      groupExpires,
      CLAIM_SECONDS,
      token,
      size ?? "",
      claims ? 1 : 0,
    );
    if (count < 0 || claimed !== 1) return null;
    return this.#ready(groupId, token);
  }

  async #ready(groupId: string, token: string): Promise<ReadyChord> {
    const { keys } = this.#context;
    const header = await this.#context.restoreGroup(groupId);
    const parts = header ? null : await this.#parts(groupId);
    const key = (suffix: string): string => keys.group(groupId, suffix);
    if (!this.#context.claims) return { header, parts, ...this.#unclaimed([".j", ".t", ".s"].map(key)) };
    return {
      header,
      parts,
      extendClaim: async (seconds) => {
        const redis = await this.#context.whenReady();
        return (await redis.celeriacExtendClaim(key(".c"), key(".s"), token, seconds)) === 1;
      },
      done: async () => {
        const redis = await this.#context.whenReady();
        await redis.celeriacChordDone(key(".c"), key(".j"), key(".t"), key(".s"), key(".d"), token, DONE_SECONDS);
      },
      failed: async () => {
        const redis = await this.#context.whenReady();
        await redis.del(key(".s"));
      },
    };
  }

  /** Whoever counted the last part sends the body, and nobody takes it over. */
  #unclaimed(keys: readonly string[]): Pick<ReadyChord, "extendClaim" | "done" | "failed"> {
    const drop = async (): Promise<void> => {
      await (await this.#context.whenReady()).del(...keys);
    };
    return { extendClaim: async () => true, done: drop, failed: drop };
  }

  async #parts(groupId: string): Promise<{ taskId: string; state: string; result: unknown }[]> {
    const { keys, codec, ordered } = this.#context;
    const redis = await this.#context.whenReady();
    const key = keys.group(groupId, ".j");
    const members = ordered ? await redis.zrangeBuffer(key, "0", "-1") : await redis.lrangeBuffer(key, 0, -1);
    const records = await Promise.all(members.map((member) => codec.unpack(member)));
    return records.map((record) => {
      const [, taskId, state, result] = codec.decodeForward(record) as [number, string, string, unknown];
      return { taskId, state, result };
    });
  }
}
