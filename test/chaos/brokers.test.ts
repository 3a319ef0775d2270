import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startProxy, type TcpProxy } from "../servers/proxy.ts";
import { Fleet } from "./fleet.ts";
import { closePlace, openPlace, PLACES, type Place, rounds } from "./places.ts";

describe.each(PLACES)("a fleet whose broker is %s", (name) => {
  let place: Place;
  let proxy: TcpProxy | undefined;
  let fleet: Fleet;

  beforeAll(async () => {
    place = await openPlace(name);
  });

  afterAll(() => closePlace(place));

  afterEach(async () => {
    await fleet[Symbol.asyncDispose]();
    await proxy?.refuse();
    proxy = undefined;
  });

  it("loses no task when its connections are cut again and again", async () => {
    proxy = await startProxy(Number(new URL(place.broker.url).port));
    const url = new URL(place.broker.url);
    url.port = String(proxy.port);
    fleet = new Fleet(place.settings(url.href));
    await Promise.all([fleet.start(), fleet.start()]);
    fleet.produce(["chaos.late", "chaos.retried"]);
    const cuts = rounds(4);
    for (let cut = 0; cut < cuts; cut++) {
      await sleep(200 + Math.random() * 600);
      proxy.cut();
    }
    const { sent, done, duplicates, lost } = await fleet.settle();
    console.log(`${name}: ${cuts} cuts, ${sent} sent, ${done} done, ${duplicates} of them more than once`);
    expect(lost).toEqual([]);
    expect(sent).toBeGreaterThan(5 * cuts);
  });

  it("loses no task when the broker starts anew", async () => {
    fleet = new Fleet(place.settings());
    await Promise.all([fleet.start(), fleet.start()]);
    fleet.produce(["chaos.late", "chaos.retried"]);
    const restarts = rounds(1);
    for (let restart = 0; restart < restarts; restart++) {
      await sleep(1000 + Math.random() * 500);
      await place.broker.kill();
      await place.broker.start();
    }
    await sleep(1000);
    const { sent, done, duplicates, lost } = await fleet.settle();
    console.log(`${name}: ${restarts} restarts, ${sent} sent, ${done} done, ${duplicates} of them more than once`);
    expect(lost).toEqual([]);
    expect(sent).toBeGreaterThan(10 * restarts);
  });
});
