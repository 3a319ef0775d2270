import { describe, expect, it } from "vitest";
import { InvalidTaskError } from "../../../protocol/errors.ts";
import { nodeMatcher } from "../../../src/control/node-matcher.ts";

/** Python's answers: `fnmatch.fnmatchcase(name, pattern)` and `re.match(pattern, name)`. */
const GLOBS: [pattern: string, name: string, fits: boolean][] = [
  ["*", "", true],
  ["", "", true],
  ["celery@*", "celery@host", true],
  ["*@host", "celery@host", true],
  ["*@host", "celery@hosts", false],
  ["c?lery@*", "celery@host", true],
  ["?", "", false],
  ["?", "😀", true],
  ["*a*b*c", "xxaxxbxxc", true],
  ["*a*b*c", "xxaxxcxxb", false],
  ["w[0-9]@*", "w7@host", true],
  ["w[0-9]@*", "wa@host", false],
  ["w[!0-9]@*", "wa@host", true],
  ["[]a]", "]", true],
  ["[!]a]", "]", false],
  ["[a-]", "-", true],
  ["[z-a]", "m", false],
  ["[!z-a]", "m", true],
  ["[a", "[a", true],
  ["[]", "[]", true],
  ["[!]", "[!]", true],
  ["a{b,c}", "ab", false],
  ["!a", "b", false],
  ["+(a)", "aa", false],
  ["a.b", "axb", false],
  ["a\\*", "a\\b", true],
  ["*", "a\nb/c", true],
  ["Celery@*", "celery@host", false],
];

const EXPRESSIONS: [pattern: string, name: string, fits: boolean][] = [
  ["celery@.*", "celery@host", true],
  ["host", "celery@host", false],
  ["(celery|worker)@", "worker@host", true],
  ["^w\\d+@h.*t$", "w12@host", true],
  ["(?P<name>w)\\w{1,3}", "worker", true],
  ["(?i)WORKER", "worker@host", true],
  ["[^@]+@(?:a|host)$", "worker@host", true],
];

describe("the name of a node", () => {
  it.each(GLOBS)("fits the glob %j as in Python: %j, %s", (pattern, name, fits) => {
    expect(nodeMatcher(pattern, "glob")(name)).toBe(fits);
  });

  it.each(EXPRESSIONS)("fits the regular expression %j as in Python: %j, %s", (pattern, name, fits) => {
    expect(nodeMatcher(pattern, "pcre")(name)).toBe(fits);
  });
});

describe("a pattern that is made to take for ever", () => {
  const name = `${"a".repeat(200)}!`;
  const fastest = (call: () => unknown): number => {
    const times = Array.from({ length: 5 }, () => {
      const started = performance.now();
      call();
      return performance.now() - started;
    });
    return Math.min(...times);
  };

  it.each([
    ["pcre", "(a+)+$"],
    ["pcre", "(a|a)*$"],
    ["pcre", "(a|aa)+$"],
    ["pcre", "(.*a){20}b"],
    ["pcre", "([a-zA-Z]+)*$"],
    ["pcre", `${"a*".repeat(120)}b`],
    ["pcre", `${"a?".repeat(120)}b`],
    ["glob", `${"*a".repeat(120)}b`],
    ["glob", `${"*".repeat(250)}b`],
    ["glob", `${"[".repeat(250)}b`],
  ])("takes no time: %s %s", (matcher, pattern) => {
    expect(nodeMatcher(pattern, matcher)(name)).toBe(false);
    expect(fastest(() => nodeMatcher(pattern, matcher)(name))).toBeLessThan(50);
  });

  it.each([
    ["pcre", "(?=a)b", /cannot be read.*\(\?=/],
    ["pcre", "(a)\\1", /cannot be read/],
    ["pcre", "(", /cannot be read/],
    ["pcre", "(.{100}){100}", /repeats more than/],
    ["pcre", "\\d{1,500}".repeat(20), /repeats more than/],
    ["pcre", "a".repeat(257), /256 characters/],
    ["glob", "*a".repeat(200), /256 characters/],
    ["regex", "a", /No matcher installed for regex/],
  ])("or is refused: %s %s", (matcher, pattern, why) => {
    expect(() => nodeMatcher(pattern, matcher)).toThrow(why);
    expect(() => nodeMatcher(pattern, matcher)).toThrow(InvalidTaskError);
  });
});
