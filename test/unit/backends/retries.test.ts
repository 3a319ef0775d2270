import { describe, expect, it } from "vitest";
import { backoffPause, policyPause, storePolicy } from "../../../src/backends/retries.ts";

describe("pauses between retries", () => {
  it("grow as kombu's policy says", () => {
    const pauses = (policy: object) => [1, 2, 3, 4].map((retry) => policyPause(storePolicy(policy), retry));
    expect(pauses({})).toEqual([0, 1000, 1000, 1000]);
    expect(pauses({ interval_start: 0.5, interval_step: 0.25, interval_max: 1 })).toEqual([500, 750, 1000, 1000]);
  });

  it("of resultBackendAlwaysRetry double up to their limit, and are drawn", () => {
    const always = { maxRetries: null, baseSleepMs: 10, maxSleepMs: 10_000 };
    expect([1, 2, 3, 10, 20].map((retry) => backoffPause(always, retry, 0.999_999))).toEqual([19, 39, 79, 9999, 9999]);
    expect(backoffPause(always, 5, 0)).toBe(0);
  });
});
