/** The import rules of ARCHITECTURE.md. test/lint/ plants a breach of each, and wants it found. */

/** An installed package, here or in a folder above. */
const packages = (names) => `(?:^|/)node_modules/(?:${names})/`;

/** Peer dependencies that applications install where they want them. */
const OPTIONAL = "mysql2|better-sqlite3|mongodb";

/** The files beside the adapters that each of them may use. */
const SHARED = [
  "^src/brokers/(?:broker|deadline|virtual)[.]ts$",
  "^src/backends/(?:backend|key-value|operational|optional-driver|result-poller|retries|waiters)[.]ts$",
  "^src/pools/(?:pool|job-queue)[.]ts$",
];

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
      name: "protocol-knows-only-itself",
      comment: "protocol/ turns bytes into values: everything else is built on it.",
      severity: "error",
      from: { path: "^protocol/" },
      to: { path: "^src/" },
    },
    {
      name: "protocol-has-no-node-modules",
      comment: "protocol/ runs wherever JavaScript does: no I/O.",
      severity: "error",
      from: { path: "^protocol/" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "protocol-has-two-packages",
      severity: "error",
      from: { path: "^protocol/" },
      to: { path: packages("(?!(?:@msgpack/msgpack|yaml)/).+") },
    },
    {
      name: "only-adapters-know-adapters",
      comment:
        "A broker, backend or pool is reached through its interface, or the base of one's own; adapters.ts alone knows which there are.",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/adapters[.]ts$", "^src/(?:brokers|backends|pools)/"] },
      to: {
        path: "^src/(?:brokers|backends|pools)/",
        pathNot: ["^src/brokers/broker[.]ts$", "^src/backends/(?:backend|key-value)[.]ts$", "^src/pools/pool[.]ts$"],
      },
    },
    {
      name: "adapters-load-when-asked-for",
      comment: "Whoever uses Redis does not load RabbitMQ's driver.",
      severity: "error",
      from: { path: "^src/adapters[.]ts$" },
      to: { path: "^src/(?:brokers|backends)/", dependencyTypesNot: ["dynamic-import", "type-only"] },
    },
    {
      name: "adapters-do-not-know-each-other",
      severity: "error",
      from: { path: "^src/(brokers|backends|pools)/([^/]+?)(?:[.]ts$|/)" },
      to: { path: "^src/$1/", pathNot: ["^src/$1/$2(?:[.]ts$|/)", ...SHARED] },
    },
    {
      name: "adapters-keep-to-their-kind",
      comment: "A broker knows no backend and no pool, and so on; rpc:// reaches the broker through its interface.",
      severity: "error",
      from: { path: "^src/(brokers|backends|pools)/" },
      to: { path: "^src/(?:brokers|backends|pools)/", pathNot: ["^src/$1/", "^src/brokers/broker[.]ts$"] },
    },
    {
      name: "adapters-do-not-know-the-application",
      severity: "error",
      from: { path: "^src/(?:brokers|backends|pools|redis)/" },
      to: {
        path: "^src/(?:(?:app|worker|control|events|cli)/|adapters[.]ts$|index[.]ts$)",
        pathNot: "^src/app/errors[.]ts$",
      },
    },
    {
      name: "amqplib-stays-in-its-adapter",
      severity: "error",
      from: { path: "^(?:protocol|src)/", pathNot: "^src/brokers/amqp/" },
      to: { path: packages("amqplib|@types/amqplib") },
    },
    {
      name: "ioredis-stays-in-its-adapters",
      severity: "error",
      from: { path: "^(?:protocol|src)/", pathNot: "^src/(?:redis|brokers/redis|backends/redis)/" },
      to: { path: packages("ioredis") },
    },
    {
      name: "databases-stay-in-their-adapter",
      severity: "error",
      from: { path: "^(?:protocol|src)/", pathNot: "^src/backends/database/" },
      to: { path: packages("pg|@types/pg|mysql2|better-sqlite3") },
    },
    {
      name: "mongodb-stays-in-its-adapter",
      severity: "error",
      from: { path: "^(?:protocol|src)/", pathNot: "^src/backends/mongodb/" },
      to: { path: packages("mongodb|bson") },
    },
    {
      name: "only-the-command-line-knows-the-index",
      comment: "src/index.ts is the door for those outside; who is inside imports what it needs.",
      severity: "error",
      from: { path: "^(?:protocol|src)/", pathNot: "^src/cli/" },
      to: { path: "^src/index[.]ts$" },
    },
    {
      name: "the-command-line-comes-through-the-index",
      comment: "What the command can do, a program can do. Its own overrides of settings are the exception, and names.",
      severity: "error",
      from: { path: "^src/cli/" },
      to: {
        path: "^src/",
        pathNot: ["^src/(?:cli/|(?:index|version|masked-url)[.]ts$)", "^src/app/(?:overrides|nodename)[.]ts$"],
      },
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
      to: { path: "^(?:test|interop|bench|examples)/" },
    },
    {
      name: "only-declared-packages",
      comment: "What package.json does not list as a dependency is not there where celeriac is installed.",
      severity: "error",
      from: { path: "^(?:protocol|src)/" },
      to: {
        dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown", "unknown", "undetermined"],
        pathNot: packages(OPTIONAL),
      },
    },
    {
      name: "optional-packages-load-when-asked-for",
      comment: "A peer that the application may have installed or not: a database's driver.",
      severity: "error",
      from: { path: "^(?:protocol|src)/" },
      to: { path: packages(OPTIONAL), dependencyTypesNot: ["dynamic-import", "type-only"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "default"] },
  },
};
