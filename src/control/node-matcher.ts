import { glob } from "../app/router.ts";

/**
 * What tells whether a node's name fits a pattern. Mirrors `kombu/matcher.py`.
 *
 * @param matcher `glob`, or `pcre` for a regular expression that fits from the name's beginning
 * @throws RangeError for any other matcher; SyntaxError when the pattern cannot be read
 */
export function nodeMatcher(pattern: string, matcher: string): (hostname: string) => boolean {
  if (matcher === "glob") return glob(pattern);
  if (matcher !== "pcre") throw new RangeError(`No matcher installed for ${matcher}`);
  const expression = new RegExp(pattern, "y");
  return (hostname) => {
    expression.lastIndex = 0;
    return expression.test(hostname);
  };
}
