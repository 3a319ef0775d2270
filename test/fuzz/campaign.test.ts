import { describe, expect, it } from "vitest";
import { judge } from "./campaign/judge.ts";
import { TARGETS } from "./campaign/targets.ts";

/** Messages to each target; `script/fuzz` sends many more. */
const COUNT = 250;

/** Another one for each run; the one to have a run again is in what fails. */
const seed = process.env.CELERIAC_FUZZ_SEED ?? String(Date.now());

describe(`what comes from outside, seed ${seed}`, () => {
  it.each(TARGETS.map((target) => [target.name, target] as const))(
    "is read or refused by a documented error, at once: %s",
    async (_, target) => {
      const outcomes = { value: 0, refused: 0 };
      for (let number = 0; number < COUNT; number++) outcomes[await judge(target, seed, number)]++;
      // Were all of them refused, they would be looked at no further than their first bytes.
      expect(outcomes.refused).toBeGreaterThan(0);
      if (target.name !== "auth") expect(outcomes.value).toBeGreaterThan(0);
    },
    60_000,
  );
});
