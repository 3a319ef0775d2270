import { createRequire } from "node:module";
import { InvalidTaskError } from "../../protocol/errors.ts";
import { fnmatch } from "../../protocol/python/fnmatch.ts";

/** Longest pattern that is read, in characters. */
const MAX_LENGTH = 256;

/** How often a regular expression may say that something comes, `{…}` within `{…}` multiplied. */
const MAX_REPEATS = 500;

const require = createRequire(import.meta.url);

/**
 * What tells whether a node's name fits a pattern. Mirrors `kombu/matcher.py`.
 *
 * Whoever can send a command can send a pattern, so none of them can keep a worker busy: a glob is matched without
 * a regular expression, and a regular expression by RE2, whose time grows with the name alone. It has no lookaround
 * and no backreferences.
 *
 * @param matcher `glob`, or `pcre` for a regular expression that fits from the name's beginning
 * @throws InvalidTaskError for any other matcher, and for a pattern that cannot be read or is too large
 */
export function nodeMatcher(pattern: string, matcher: string): (hostname: string) => boolean {
  if (matcher !== "glob" && matcher !== "pcre") throw new InvalidTaskError(`No matcher installed for ${matcher}`);
  if (pattern.length > MAX_LENGTH) {
    throw new InvalidTaskError(`a pattern for node names has ${MAX_LENGTH} characters at the most`);
  }
  return matcher === "glob" ? fnmatch(pattern) : expression(pattern);
}

function expression(pattern: string): (hostname: string) => boolean {
  const repeats = [...pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)].map(([, least, most]) => Number(most || least));
  if (repeats.reduce((all, count) => all * Math.max(1, count), 1) > MAX_REPEATS) {
    throw new InvalidTaskError(`the pattern ${JSON.stringify(pattern)} repeats more than ${MAX_REPEATS} times`);
  }
  // Not before it is needed: it takes 36 ms to load, and hardly a command has such a pattern.
  const { RE2JS } = require("re2js") as typeof import("re2js");
  try {
    const compiled = RE2JS.compile(pattern);
    return (hostname) => compiled.matcher(hostname).lookingAt();
  } catch (cause) {
    const why = (cause as Error).message;
    throw new InvalidTaskError(`the pattern ${JSON.stringify(pattern)} cannot be read: ${why}`, { cause });
  }
}
