import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { resultKeys } from "../../protocol/result/keys.ts";
import { queue } from "../../protocol/transport/entities.ts";
import { exchangeFile } from "../../protocol/transport/filesystem.ts";
import { redisNames } from "../../protocol/transport/redis.ts";
import { FilesystemBroker } from "../../src/brokers/filesystem/filesystem-broker.ts";
import { OperationalError } from "../../src/index.ts";
import { SILENT } from "../../src/logger.ts";

/** Names that somebody may send for an id, a queue, a group, an exchange. */
const HOSTILE = ["../x", "../../x", "../../../x", "a/../../x", "/etc/x", "x/", "..\\x", "x\0.msg", "..//../x"];

describe("a queue that leads out of its folder", () => {
  let top: string;
  let broker: FilesystemBroker;
  const message = { headers: {}, properties: {}, contentType: "a/b", contentEncoding: "utf-8", body: Buffer.from("x") };

  beforeEach(() => {
    top = mkdtempSync(join(tmpdir(), "celeriac-names-"));
    const folder = join(top, "a/b");
    mkdirSync(folder, { recursive: true });
    const names = { data_folder_in: join(folder, "queue"), data_folder_out: join(folder, "queue") };
    const transportOptions = { ...names, control_folder: join(folder, "control") };
    broker = new FilesystemBroker({ url: "filesystem://", transportOptions, log: SILENT } as never);
  });

  afterEach(async () => {
    await broker.close();
    rmSync(top, { recursive: true, force: true });
  });

  const files = (): string[] =>
    readdirSync(top, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name);

  it.each(HOSTILE)("is refused before anything is written: %j", async (name) => {
    await expect(broker.publish(message, { exchange: "", routingKey: name }, 5000)).rejects.toThrow(OperationalError);
    expect(files()).toEqual([]);
  });

  it.each(HOSTILE)("cannot be reached by a binding either: %j", async (name) => {
    await broker.declare(queue(name, { exchange: { ...queue("e").exchange }, routingKey: "k" }));
    await expect(broker.publish(message, { exchange: "e", routingKey: "k" }, 5000)).rejects.toThrow(OperationalError);
    expect(files()).toEqual(["e.exchange"]);
  });

  it.each(HOSTILE)("and an exchange of such a name has no file: %j", (name) => {
    expect(exchangeFile(name)).toBeUndefined();
  });

  it.each(["..", ".", "..a", "a..", "a.b", "celery@host.celery.pidbox", "ü", " "])(
    "is none where dots are all that is odd about it: %j",
    async (name) => {
      await broker.publish(message, { exchange: "", routingKey: name }, 5000);
      expect(await broker.size(name)).toBe(1);
      writeFileSync(join(top, "a/b/queue", "1_2.other.msg"), "");
      expect(await broker.purge(name)).toBe(1);
      expect(files()).toEqual(["1_2.other.msg"]);
    },
  );
});

describe("a key in Redis", () => {
  const ids = [...HOSTILE, "", "*", "x.j", "\r\nFLUSHALL\r\n", "celery-task-meta-x", "{x}", "\x06\x16"];

  it.each(ids)("of a result begins with its kind's own prefix whatever the id is: %j", (id) => {
    const keys = resultKeys("shop");
    expect(keys.task(id)).toBe(`shop_celery-task-meta-${id}`);
    expect(keys.group(id, ".j")).toBe(`shop_celery-taskset-meta-${id}.j`);
    expect(keys.chord(id)).toBe(`shop_chord-unlock-${id}`);
  });

  it.each(ids)("of a queue or an exchange begins with the prefix of all keys: %j", (name) => {
    const names = redisNames({ globalKeyPrefix: "shop:" });
    for (const key of [...names.lists(name), names.bindings(name), names.channel(name, "key")]) {
      expect(key.startsWith("shop:")).toBe(true);
      expect(key).toContain(name);
    }
  });
});
