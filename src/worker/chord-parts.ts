import { randomUUID } from "node:crypto";
import { clone, listOption, readSignature, type SignatureData } from "../../protocol/canvas/signature.ts";
import { exceptionRepr, readException } from "../../protocol/result/exception.ts";
import type { ResultNode } from "../../protocol/result/result-tuple.ts";
import { EXCEPTION_STATES, PROPAGATE_STATES } from "../../protocol/result/states.ts";
import { ChordError } from "../app/errors.ts";
import { pythonException, taskError } from "../app/exception.ts";
import { resultFromNode } from "../app/result.ts";
import type { ChordPart, ReadyChord } from "../backends/backend.ts";
import type { WorkerContext } from "./context.ts";

/** Seconds that a worker may take to send a chord's body before another takes it over. */
const PUBLISH_SECONDS = 30;

/** Fails what waits for a chord's body. @param callErrbacks false where they were called already */
export type FailBody = (body: SignatureData, error: Error, callErrbacks?: boolean) => Promise<void>;

/** Tells chords that their parts ended, and sends the body of one that is complete. */
export class ChordParts {
  readonly #context: WorkerContext;
  readonly #failBody: FailBody;

  constructor(context: WorkerContext, failBody: FailBody) {
    this.#context = context;
    this.#failBody = failBody;
  }

  /**
   * @param body the chord's body as the part's message carries it
   * @throws OperationalError when the backend cannot be told
   */
  async partReturned(body: unknown, part: ChordPart): Promise<void> {
    const { chords } = await this.#context.backend();
    // Without a store of its own, the task celery.chord_unlock looks for the parts' results.
    if (!chords) return;
    const sig = readSignature(body);
    let ready: ReadyChord | null;
    try {
      ready = await chords.partReturned({ ...part, size: sig.chord_size });
    } catch (error) {
      if (!(error instanceof ChordError)) throw error;
      this.#context.log.error({ err: error, group: part.groupId }, `Chord ${part.groupId} raised: ${error.message}`);
      await this.#failBody(sig, error);
      return;
    }
    if (ready) await this.#complete(sig, ready, part.groupId);
  }

  async #complete(body: SignatureData, chord: ReadyChord, groupId: string): Promise<void> {
    let results: unknown[];
    try {
      results = await this.#join(chord);
      if (!(await chord.extendClaim(PUBLISH_SECONDS))) {
        this.#context.log.warn(
          { group: groupId },
          `Chord callback for ${groupId} not published: another worker has taken it over`,
        );
        return;
      }
    } catch (error) {
      this.#context.log.error({ err: error, group: groupId }, `Chord ${groupId} raised: ${(error as Error).message}`);
      const known = error instanceof ChordError ? error : new ChordError(`Join error: ${this.#shown(error)}`);
      // An errback of the chord was linked to the chords within it as well, and one of those has called it.
      const inner = chord.header ? error : (error as Error).cause;
      await this.#failBody(body, known, !(inner instanceof ChordError));
      await chord.failed();
      return;
    }
    try {
      await this.#context.canvas.apply(clone(body), [results], {}, {});
    } catch (error) {
      this.#context.log.error(
        { err: error, group: groupId },
        `Chord callback for ${groupId} raised: ${(error as Error).message}`,
      );
      await this.#failBody(body, new ChordError(`Callback error: ${this.#shown(error)}`));
    } finally {
      await chord.done();
    }
  }

  /** @throws ChordError naming the part that failed */
  async #join({ parts, header }: ReadyChord): Promise<unknown[]> {
    if (header) return this.#joinHeader(header);
    return (parts ?? []).map(({ taskId, state, result }) => {
      if (PROPAGATE_STATES.has(state)) {
        const cause = taskError(result, null);
        throw new ChordError(`Dependency ${taskId} raised ${exceptionRepr(readException(result))}`, { cause });
      }
      return EXCEPTION_STATES.has(state) ? taskError(result, null) : result;
    });
  }

  /** A header with groups in it: its results, in its structure. */
  async #joinHeader(header: ResultNode): Promise<unknown[]> {
    const timeout = this.#context.settings.resultChordJoinTimeout;
    const results = await resultFromNode(this.#context.results, header).get({ ...(timeout && { timeout }) });
    return results as unknown[];
  }

  #shown(error: unknown): string {
    return exceptionRepr(pythonException(error, this.#context.name));
  }
}

/** The id of the result that a body will have; one is made up for a body that was never frozen. */
export function bodyId(body: SignatureData): string {
  body.options.task_id ??= randomUUID();
  return body.options.task_id as string;
}

/** The errbacks of a chord's body. */
export function bodyErrbacks(body: SignatureData): SignatureData[] {
  return listOption(body, "link_error");
}
