import { describe, expect, it } from "vitest";
import { databaseUrl } from "../../../src/backends/database/database-url.ts";
import { engineOptions } from "../../../src/backends/database/engine-options.ts";
import { SILENT } from "../../../src/logger.ts";

const none = { user: undefined, password: undefined, host: undefined, port: undefined, database: undefined, query: {} };

describe("a database's URL", () => {
  it.each([
    [
      "db+postgresql://me:secret@host:5433/shop",
      { user: "me", password: "secret", host: "host", port: 5433, database: "shop" },
    ],
    ["db+postgresql+psycopg2://me@host/shop", { user: "me", host: "host", database: "shop" }],
    [
      "db+mysql://me:p%40ss%2Fw%25rd+@host/shop",
      { user: "me", password: "p@ss/w%rd+", host: "host", database: "shop" },
    ],
    ["db+mysql://me:100%@host/shop", { user: "me", password: "100%", host: "host", database: "shop" }],
    ["db+postgresql://[::1]:5432/shop", { host: "::1", port: 5432, database: "shop" }],
    [
      "db+postgresql://me:x@/shop?host=/run/pg",
      { user: "me", password: "x", database: "shop", query: { host: "/run/pg" } },
    ],
    ["db+postgresql:///shop", { database: "shop" }],
    ["db+postgresql://host", { host: "host" }],
    ["db+sqlite:///results.db", { database: "results.db" }],
    ["db+sqlite:////var/lib/results.db?timeout=5", { database: "/var/lib/results.db", query: { timeout: "5" } }],
  ])("is read as SQLAlchemy reads it: %s", (url, parts) => {
    expect(databaseUrl(url)).toEqual({ ...none, ...parts });
  });

  it("that is none is refused without its password", () => {
    expect(() => databaseUrl("db+postgresql:me:hidden@host")).toThrow(/database reads db\+dialect/);
    expect(() => databaseUrl("db+postgresql://me:hidden@host:port/shop")).toThrow(/me:\*\*@host/);
  });
});

describe("engine options", () => {
  it("say how many connections there are", () => {
    expect(engineOptions({}, SILENT)).toMatchObject({ connections: 15, idle: 5, recycle: 3600, timeout: null });
    expect(engineOptions({ pool_size: 2, max_overflow: 0, pool_recycle: -1 }, SILENT)).toMatchObject({
      connections: 2,
      idle: 2,
      recycle: null,
    });
    expect(engineOptions({ pool_size: 0 }, SILENT).connections).toBeGreaterThan(1000);
  });

  it("that cannot be used are refused, or said to have no effect", () => {
    expect(() => engineOptions({ pool_size: "5" }, SILENT)).toThrow(/pool_size has to be a number, got "5"/);
    expect(() => engineOptions({ connect_args: 5 }, SILENT)).toThrow(/connect_args has to be an object/);
    const said: string[] = [];
    engineOptions({ isolation_level: "X", echo: true }, { ...SILENT, warn: (_, text) => void said.push(text ?? "") });
    expect(said).toEqual(["These database_engine_options have no effect in celeriac: isolation_level"]);
  });
});
