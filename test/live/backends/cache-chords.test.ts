import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ResultNode } from "../../../protocol/result/result-tuple.ts";
import type { ChordStore, ReadyChord } from "../../../src/backends/backend.ts";
import { CacheBackend } from "../../../src/backends/cache/cache-backend.ts";
import { ChordError, NotImplementedError } from "../../../src/index.ts";
import { backendOptions, record } from "../../exercise/backend.ts";
import { type MemcachedServer, memcachedProgram, startMemcached } from "../../servers/memcached.ts";

describe.skipIf(!memcachedProgram())("chords in memcached (needs memcached: script/setup installs it)", () => {
  let server: MemcachedServer;
  let backend: CacheBackend;
  let chords: ChordStore;

  beforeAll(async () => {
    server = await startMemcached();
  });
  beforeEach(() => {
    backend = make({});
    chords = backend.chords;
  });
  afterEach(() => backend.close());
  afterAll(() => server.stop());

  const make = (more: object): CacheBackend =>
    new CacheBackend({ ...backendOptions({ url: () => `cache+${server.url}` }), ...more });

  async function ended(groupId: string, taskId: string, from = chords): Promise<ReadyChord | null> {
    await backend.storeResult(record(taskId, "SUCCESS", taskId));
    return from.partReturned({ groupId, taskId, groupIndex: null, state: "SUCCESS", result: taskId });
  }

  const one = (id: string): ResultNode => ({ id, parent: null, results: null });
  const headerOf = (...ids: string[]): ResultNode => ({ id: randomUUID(), parent: null, results: ids.map(one) });
  const ids = (): [string, string] => [randomUUID(), randomUUID()];

  it("end with their last part, in the order of the header", async () => {
    const [first, second] = ids();
    const header = headerOf(first, second);
    await chords.saveHeader(header, 2);
    expect(await ended(header.id, second)).toBeNull();
    const ready = await ended(header.id, first);
    expect(ready?.parts?.map(({ taskId, result }) => [taskId, result])).toEqual([
      [first, first],
      [second, second],
    ]);
    expect(await ready?.extendClaim(30)).toBe(true);
    await ready?.done();
    expect(await backend.restoreGroup(header.id)).toBeNull();
  });

  it("do not end early because a part comes twice", async () => {
    const [first, second] = ids();
    const header = headerOf(first, second);
    await chords.saveHeader(header, 2);
    expect(await ended(header.id, first)).toBeNull();
    expect(await ended(header.id, first)).toBeNull();
    expect(await ended(header.id, second)).not.toBeNull();
  });

  it("have one worker send the body, and another only when it does not", async () => {
    const [only] = ids();
    const header = headerOf(only);
    await chords.saveHeader(header, 1);
    const ready = await ended(header.id, only);
    expect(ready).not.toBeNull();
    const other = make({});
    expect(await ended(header.id, only, other.chords)).toBeNull();
    // It stays away longer than its right to send holds.
    await ready?.extendClaim(1);
    await new Promise((resolve) => setTimeout(resolve, 2100));
    expect(await ended(header.id, only, other.chords)).not.toBeNull();
    expect(await ready?.extendClaim(30)).toBe(false);
    await other.close();
  });

  it("pass over a part that comes again when they are done", async () => {
    const [only] = ids();
    const header = headerOf(only);
    await chords.saveHeader(header, 1);
    await (await ended(header.id, only))?.done();
    expect(await ended(header.id, only)).toBeNull();
  });

  it("count the tasks of groups in the header", async () => {
    const [first, second] = ids();
    const inner = headerOf(first, second);
    const header = { id: randomUUID(), parent: null, results: [inner] };
    await chords.saveHeader(header, 2);
    expect(await ended(header.id, first)).toBeNull();
    expect(await ended(header.id, second)).toMatchObject({ header: { id: header.id }, parts: null });
  });

  it("are joined all the same when the last part keeps no result", async () => {
    const [first, ignored] = ids();
    const header = headerOf(first, ignored);
    await chords.saveHeader(header, 2);
    expect(await ended(header.id, first)).toBeNull();
    const part = { groupId: header.id, taskId: ignored, groupIndex: null, state: "SUCCESS", result: null };
    expect(await chords.partReturned(part)).toMatchObject({ header: { id: header.id }, parts: null });
  });

  it("fail when their header is gone, and take no further parts", async () => {
    await expect(ended(randomUUID(), randomUUID())).rejects.toThrow(ChordError);
    await expect(chords.addPart(randomUUID())).rejects.toThrow(NotImplementedError);
  });

  it("keep what their parts returned while they are under way", async () => {
    const short = make({ expires: 2, chordExpires: 60 });
    const [first, second] = ids();
    const header = headerOf(first, second);
    await short.chords.saveHeader(header);
    await short.storeResult(record(first, "SUCCESS", 1));
    const part = { groupId: header.id, taskId: first, groupIndex: null, state: "SUCCESS", result: 1 };
    await short.chords.partReturned(part);
    await new Promise((resolve) => setTimeout(resolve, 3100));
    expect((await short.getTaskMeta(first)).status).toBe("SUCCESS");
    await short.storeResult(record(second, "SUCCESS", 2));
    expect((await short.chords.partReturned({ ...part, taskId: second }))?.parts).toHaveLength(2);
    await short.close();
  });
});
