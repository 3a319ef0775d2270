// Starts both workers in a temporary folder, has each side call the other, and prints what went where.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";

const here = import.meta.dirname;
const cli = join(here, "../../dist/src/cli/main.js");
const loader = join(here, "../../dist/src/cli/register-typescript.js");
const python = process.argv[2] ?? "";
const folder = mkdtempSync(join(tmpdir(), "celeriac-demo-"));
for (const name of ["queue", "results", "control"]) mkdirSync(join(folder, name));
const env = {
  ...process.env,
  DEMO_FOLDER: folder,
  PYTHONPATH: here,
  PYTHONDONTWRITEBYTECODE: "1",
  PYTHONUNBUFFERED: "1",
  C_FORCE_ROOT: "1",
};
const running = new Set();
const started = performance.now();

process.on("exit", () => {
  for (const child of running) signalGroup(child, "SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

try {
  const workers = [
    startWorker("TypeScript", [process.execPath, cli, "-A", join(here, "app.ts"), "worker", "-l", "INFO"], "ready."),
  ];
  if (python) {
    const command = [
      "-m",
      "celery",
      "-A",
      "python_tasks",
      "worker",
      "-l",
      "INFO",
      "-c",
      "1",
      "--without-gossip",
      "--without-mingle",
    ];
    workers.push(startWorker("Python", [python, ...command], "ready."));
  } else {
    console.log("No Python 3 here: this is the TypeScript half of the demo.");
  }
  await Promise.all(workers);
  console.log(`Workers are ready after ${seconds(started)}, on a folder and no server.\n`);
  const rows = [];
  const typescript = [process.execPath, "--import", loader, join(here, "typescript-calls.ts")];
  rows.push(...(await lines([...typescript, python ? "with-python" : "alone"])));
  if (python) rows.push(...(await lines([python, join(here, "python_calls.py")])));
  show(rows);
  const expected = python ? 8 : 4;
  if (rows.length !== expected) throw new Error(`${rows.length} of ${expected} calls came back`);
  await Promise.all([...running].map((child) => end(child)));
  console.log(`\n${rows.length} calls, all done after ${seconds(started)}. Nothing is left running.`);
} catch (error) {
  console.error(`demo: ${error.message}`);
  process.exitCode = 1;
}
process.exit();

/** Starts a worker and waits until it says that it is ready. */
async function startWorker(name, [command, ...args], ready) {
  console.log(`Starting a ${name} worker …`);
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  running.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const deadline = Date.now() + 30_000;
  while (!output.includes(ready)) {
    if (child.exitCode !== null) throw new Error(`the ${name} worker ended:\n${output}`);
    if (Date.now() > deadline) throw new Error(`the ${name} worker does not get ready:\n${output}`);
    await pause(20);
  }
}

/** Runs a program and reads the JSON lines that it prints. */
async function lines([command, ...args]) {
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "inherit"], detached: true });
  running.add(child);
  const rows = [];
  for await (const line of createInterface({ input: child.stdout })) rows.push(JSON.parse(line));
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  running.delete(child);
  return rows;
}

async function end(child) {
  const gone = once(child, "exit");
  // Celery's own processes are ended by it; a signal of their own would disturb that.
  child.kill("SIGTERM");
  const timer = setTimeout(() => signalGroup(child, "SIGKILL"), 5_000);
  await gone;
  clearTimeout(timer);
  running.delete(child);
}

function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It is gone already.
  }
}

function show(rows) {
  const columns = ["call", "sent by", "ran on", "came back", "ms"];
  const cells = rows.map((row) => [row.title, row.from, row.ranOn, row.back, row.ms.toFixed(0)]);
  const widths = columns.map((name, n) => Math.max(name.length, ...cells.map((cell) => cell[n].length)));
  const line = (cell) =>
    cell.map((text, n) => (n === 4 ? text.padStart(widths[n]) : text.padEnd(widths[n]))).join("  ");
  console.log(line(columns));
  console.log(widths.map((width) => "-".repeat(width)).join("  "));
  for (const cell of cells) console.log(line(cell));
}

function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}
