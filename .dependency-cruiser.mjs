/** The import rules of ARCHITECTURE.md. A planted breach of each is kept under test/lint/, and must be found. */
const within = (...folders) => folders.map((folder) => `^${folder}`);

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    {
      name: "no-circular",
      comment: "Two modules that need each other are one idea in two files.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "protocol-is-pure",
      comment: "protocol/ turns bytes into values: no I/O, nothing of src/, no node: modules.",
      severity: "error",
      from: { path: "^protocol/" },
      to: { path: ["^src/", "^node:"] },
    },
    {
      name: "protocol-has-no-node-modules",
      severity: "error",
      from: { path: "^protocol/" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "only-adapters-know-adapters",
      comment: "A broker, backend or pool is reached through its interface; adapters.ts alone knows which there are.",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/adapters[.]ts$", "^src/(?:brokers|backends)/"] },
      to: { path: ["^src/brokers/(?!broker[.]ts|deadline[.]ts)", "^src/backends/(?!backend[.]ts)"] },
    },
    {
      name: "adapters-do-not-know-each-other",
      severity: "error",
      from: { path: "^src/(?:brokers|backends)/([^/]+)/" },
      to: {
        path: "^src/(?:brokers|backends)/[^/]+/",
        pathNot: ["^src/(?:brokers|backends)/$1/"],
      },
    },
    {
      name: "adapters-do-not-know-the-application",
      severity: "error",
      from: { path: "^src/(?:brokers|backends|redis)/" },
      to: { path: "^src/(?:app|worker|control|events|cli|pools)/", pathNot: "^src/app/errors[.]ts$" },
    },
    {
      name: "nobody-knows-the-command-line",
      severity: "error",
      from: { path: "^(?:protocol|src)/", pathNot: "^src/cli/" },
      to: { path: "^src/cli/" },
    },
    {
      name: "nobody-knows-the-tests",
      severity: "error",
      from: { path: "^(?:protocol|src)/" },
      to: { path: within("test/", "interop/", "bench/", "examples/") },
    },
    {
      name: "drivers-stay-in-their-adapters",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/redis/", "^src/brokers/(?:redis|amqp)/", "^src/backends/"] },
      to: { path: "^node_modules/(?:amqplib|ioredis|pg)/", dependencyTypesNot: ["type-only"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "default"] },
  },
};
