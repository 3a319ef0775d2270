import { defineConfig } from "vitest/config";

const common = { environment: "node", pool: "forks" } as const;

/** Takes an hour: script/conformance asks for it by name. */
const conformance = {
  test: {
    ...common,
    name: "conformance",
    include: ["interop/conformance/*.conformance.ts"],
    globalSetup: ["test/global-setup.ts", "test/built.ts"],
  },
};

export default defineConfig({
  test: {
    projects: [
      { test: { ...common, name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 10_000 } },
      {
        test: {
          ...common,
          name: "fuzz",
          include: ["test/fuzz/**/*.test.ts"],
          globalSetup: ["interop/global-setup.ts"],
          testTimeout: 15_000,
        },
      },
      {
        test: {
          ...common,
          name: "live",
          include: ["test/live/**/*.test.ts"],
          globalSetup: ["test/global-setup.ts", "test/built.ts"],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          ...common,
          name: "chaos",
          include: ["test/chaos/**/*.test.ts"],
          globalSetup: ["test/built.ts"],
          testTimeout: 3_600_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          ...common,
          name: "package",
          include: ["test/package/**/*.test.ts", "test/lint/**/*.test.ts"],
          globalSetup: ["test/package/global-setup.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          ...common,
          name: "interop",
          include: ["interop/**/*.test.ts"],
          globalSetup: ["test/global-setup.ts", "test/built.ts", "test/packed.ts", "interop/global-setup.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      ...(process.argv.includes("conformance") ? [conformance] : []),
    ],
  },
});
