import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Fleet } from "./fleet.ts";
import { closePlace, openPlace, PLACES, type Place, rounds } from "./places.ts";

describe.each(PLACES)("a fleet on %s", (name) => {
  let place: Place;
  let fleet: Fleet;

  beforeAll(async () => {
    place = await openPlace(name);
  });

  afterAll(() => closePlace(place));

  beforeEach(async () => {
    fleet = new Fleet(place.settings());
    await Promise.all([fleet.start(), fleet.start()]);
  });

  afterEach(() => fleet[Symbol.asyncDispose]());

  it("loses no task that is acknowledged late when its workers are killed", async () => {
    fleet.produce(["chaos.late", "chaos.retried"]);
    const kills = rounds(3);
    for (let kill = 0; kill < kills; kill++) {
      await sleep(300 + Math.random() * 700);
      await fleet.workers.shift()?.kill();
      await fleet.start();
    }
    const { sent, done, duplicates, lost } = await fleet.settle();
    console.log(`${name}: ${kills} kills, ${sent} sent, ${done} done, ${duplicates} of them more than once`);
    expect(lost).toEqual([]);
    expect(sent).toBeGreaterThan(10 * kills);
  });

  it("loses no task and runs none twice when its workers are stopped", async () => {
    fleet.produce(["chaos.late", "chaos.early", "chaos.retried"]);
    const stops = rounds(2);
    for (let stop = 0; stop < stops; stop++) {
      await sleep(300 + Math.random() * 500);
      const stopped = fleet.workers.shift();
      await fleet.start();
      stopped?.signal("SIGTERM");
      expect(await stopped?.ended()).toBe(0);
    }
    const { sent, done, duplicates, lost } = await fleet.settle();
    console.log(`${name}: ${stops} stops, ${sent} sent, ${done} done, ${duplicates} of them more than once`);
    expect({ lost, duplicates }).toEqual({ lost: [], duplicates: 0 });
    expect(sent).toBeGreaterThan(10 * stops);
  });
});
