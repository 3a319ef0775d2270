import { readSignature } from "../canvas/signature.ts";
import { InvalidTaskError } from "../errors.ts";
import { mappingOf } from "./headers.ts";

/** What happens after the task, as its message carries it: signatures, as the data that came. */
export interface Embed {
  callbacks: readonly unknown[] | null;
  errbacks: readonly unknown[] | null;
  /** The rest of the chain in reverse: the next task is the last element. */
  chain: readonly unknown[] | null;
  /** The body of the chord whose header the task is in. */
  chord: unknown;
}

/** The body of a task message of protocol 2. */
export type TaskBody = [args: unknown[], kwargs: Record<string, unknown>, embed: Embed];

const NOTHING: Embed = { callbacks: null, errbacks: null, chain: null, chord: null };

/**
 * The body of a task message, checked.
 * @throws InvalidTaskError when it is not `[args, kwargs, embed]`
 */
export function readBody(body: unknown): TaskBody {
  if (!Array.isArray(body) || body.length !== 3) {
    throw new InvalidTaskError("the body must be a list of three: [args, kwargs, embed]");
  }
  const [args] = body;
  const kwargs = mappingOf(body[1]);
  const embed = body[2] === null ? {} : mappingOf(body[2]);
  if (!Array.isArray(args)) throw new InvalidTaskError("Task positional arguments are not a list");
  if (!kwargs) throw new InvalidTaskError("Task keyword arguments is not a mapping");
  if (!embed) throw new InvalidTaskError("the third part of the body is not a mapping");
  return [args, kwargs, readEmbed(embed)];
}

/**
 * Looks through every signature before the task runs: afterwards nobody could be told that one cannot be sent.
 * @throws InvalidTaskError when one is none, or a list of them something else
 */
export function readEmbed(embed: Record<string, unknown>): Embed {
  if (!embed.callbacks && !embed.errbacks && !embed.chain && !embed.chord) return NOTHING;
  return {
    callbacks: signatures(embed, "callbacks"),
    errbacks: signatures(embed, "errbacks"),
    chain: signatures(embed, "chain"),
    chord: checked(embed.chord ?? null),
  };
}

function signatures(embed: Record<string, unknown>, name: string): readonly unknown[] | null {
  const value = embed[name];
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value)) throw new InvalidTaskError(`${name} in the body must be a list or null`);
  for (const item of value) readSignature(item);
  return value;
}

function checked(body: unknown): unknown {
  if (body !== null) readSignature(body);
  return body;
}
