/** One element of a pattern: any text, any character, or a test of one. */
type Element = "*" | "?" | ((char: string) => boolean);

/**
 * Python's `fnmatch.fnmatchcase`: `*`, `?`, `[seq]` and `[!seq]`, nothing else. It takes no longer than the lengths of
 * pattern and name, multiplied, whatever the pattern is: no regular expression is made of it.
 *
 * @returns what tells whether all of a name fits
 */
export function fnmatch(pattern: string): (name: string) => boolean {
  const elements = elementsOf([...pattern]);
  return (name) => fits(elements, [...name]);
}

/** Goes back to the last `*` alone: what an earlier one could take more of, the last one can as well. */
function fits(elements: readonly Element[], name: readonly string[]): boolean {
  let [at, element, star, resume] = [0, 0, -1, 0];
  while (at < name.length) {
    const next = elements[element];
    if (next === "*") {
      star = element++;
      resume = at;
    } else if (next === "?" || (typeof next === "function" && next(name[at] as string))) {
      at++;
      element++;
    } else if (star >= 0) {
      element = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  while (elements[element] === "*") element++;
  return element === elements.length;
}

function elementsOf(pattern: readonly string[]): Element[] {
  const elements: Element[] = [];
  // Looked for once: a pattern of opening brackets alone would be searched to its end for each of them.
  const lastClosing = pattern.lastIndexOf("]");
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string;
    const end = char === "[" && at < lastClosing ? closing(pattern, at + 1) : -1;
    if (end > 0) {
      elements.push(sequence(pattern.slice(at + 1, end)));
      at = end;
    } else if (char === "*" || char === "?") {
      if (char === "?" || elements.at(-1) !== "*") elements.push(char);
    } else {
      elements.push((other) => other === char);
    }
  }
  return elements;
}

/** Where a sequence ends: a `]` that comes first belongs to it. -1 where it does not end, and `[` stands for itself. */
function closing(pattern: readonly string[], start: number): number {
  const first = pattern[start] === "!" ? start + 1 : start;
  return pattern.indexOf("]", pattern[first] === "]" ? first + 1 : first);
}

/** A range whose end comes before its beginning holds nothing. */
function sequence(inside: readonly string[]): (char: string) => boolean {
  const negated = inside[0] === "!";
  const ranges: [from: number, to: number][] = [];
  for (let at = negated ? 1 : 0; at < inside.length; at++) {
    const isRange = inside[at + 1] === "-" && at + 2 < inside.length;
    ranges.push([code(inside[at]), code(inside[isRange ? at + 2 : at])]);
    if (isRange) at += 2;
  }
  return (char) => ranges.some(([from, to]) => from <= code(char) && code(char) <= to) !== negated;
}

function code(char: string | undefined): number {
  return char?.codePointAt(0) ?? -1;
}
