import { expect, it } from "vitest";
import { LamportClock } from "../../../src/app/clock.ts";

it("moves past the times of others", () => {
  const clock = new LamportClock();
  expect(clock.adjust(41)).toBe(42);
  expect(clock.adjust(7)).toBe(43);
  expect(clock.forward()).toBe(44);
});

it.each([Number.NaN, Infinity, -Infinity, 1e300, 2 ** 53, 2 ** 53 - 1, -5, 0.5])(
  "goes on from its own after %s",
  (other) => {
    const clock = new LamportClock();
    clock.adjust(41);
    expect(clock.adjust(other)).toBe(43);
    expect(clock.forward()).toBe(44);
  },
);
