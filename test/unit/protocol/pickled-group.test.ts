import { describe, expect, it } from "vitest";
import { DecodeError } from "../../../protocol/errors.ts";
import { dumpPickledGroup } from "../../../protocol/result/pickled-group.ts";
import type { ResultNode } from "../../../protocol/result/result-tuple.ts";
import { serializedValues } from "../../../protocol/result/stored-value.ts";
import { json } from "../../../protocol/serialization/json.ts";

const { decode, decodeGroup } = serializedValues(json);
const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");
const GROUP = "ccelery.result\nGroupResult\n";

describe("a saved group of Celery up to 5.6", () => {
  it("comes back as it was, with its parents", () => {
    const parent: ResultNode = { id: "p", parent: null, results: null };
    const member = { id: "m", parent, results: null };
    const group: ResultNode = { id: "g", parent, results: [member, { id: "n", parent: null, results: [] }] };
    expect(decodeGroup(dumpPickledGroup(group))).toEqual(group);
  });

  it("may hold the backends that its results came from", () => {
    const backend = "ccelery.backends.base\nunpickle_backend\n(ccelery.backends.redis\nRedisBackend\n)}tR";
    const member = `ccelery.result\nAsyncResult\n(X\x01\x00\x00\x00m${backend}NNNtR`;
    const bytes = latin1(`\x80\x02${GROUP}(X\x01\x00\x00\x00g](${member}etR.`);
    expect(decodeGroup(bytes)).toEqual({
      id: "g",
      parent: null,
      results: [{ id: "m", parent: null, results: null }],
    });
  });

  it.each([
    [
      "results of results without end",
      /more than 1000000 parts/,
      `X\x01\x00\x00\x00aq\x00${"0"}${GROUP}(h\x00]tRq\x01${`0${GROUP}(h\x00](h\x01h\x01etRq\x01`.repeat(40)}`,
    ],
    [
      "parents of parents without end",
      /nested too deeply/,
      `X\x01\x00\x00\x00aq\x000Nq\x01${`0${GROUP}(h\x00]h\x01tRq\x01`.repeat(2000)}`,
    ],
    ["an id that is no text", /has no id/, `${GROUP}(]q\x00${"(h\x00h\x00lq\x00".repeat(40)}]tR`],
  ])("is refused at once: %s", (_, why, text) => {
    const bytes = latin1(`\x80\x02${text}.`);
    expect(() => decodeGroup(bytes)).toThrow(why);
    expect(() => decodeGroup(bytes)).toThrow(DecodeError);
  });
});

describe("a stored value of Celery up to 5.6", () => {
  it.each([
    [
      "an integer of a megabyte",
      /too long/,
      Buffer.concat([latin1("\x80\x02\x8b\x00\x00\x10\x00"), Buffer.alloc(1 << 20, 7), latin1(".")]),
    ],
    ["doublings without end", /more than 1000000 parts/, latin1(`\x80\x02]${"q\x00(h\x00h\x00l".repeat(40)}.`)],
    ["doublings as a key", /more than 1000000 parts/, latin1(`\x80\x02}]${"q\x000(h\x00h\x00t".repeat(40)}Ns.`)],
    ["a list that holds itself", /holds itself/, latin1("\x80\x02]q\x00h\x00a.")],
    ["lists within lists", /too deeply/, latin1(`\x80\x02${"(".repeat(100_000)}${"l".repeat(100_000)}.`)],
    ["a name made of doublings", /names a global/, latin1(`\x80\x04]${"q\x00(h\x00h\x00l".repeat(40)}q\x00h\x00\x93.`)],
  ])("is refused at once: %s", (_, why, bytes) => {
    expect(() => decode(bytes)).toThrow(why);
    expect(() => decode(bytes)).toThrow(DecodeError);
  });
});
