import { type AsyncResult, chain, TaskError } from "celeriac";
import { add, app, divide, greet, multiply, refuse } from "./app.ts";

/** What TypeScript calls in the demo; prints one JSON line a call. */
const withPython = process.argv[2] === "with-python";

async function call(title: string, ranOn: string, send: () => Promise<AsyncResult>): Promise<void> {
  const start = performance.now();
  let back: string;
  try {
    back = JSON.stringify(await (await send()).get({ timeout: 15 }));
  } catch (error) {
    back = error instanceof TaskError ? `${error.type}: ${error.message}` : String(error);
  }
  console.log(JSON.stringify({ title, from: "TypeScript", ranOn, back, ms: performance.now() - start }));
}

if (withPython) {
  await call("python.add(2, 3)", "Python", () => add.delay(2, 3));
  await call("python.add(x=2, y=3)", "Python", () => add.applyAsync([], { kwargs: { x: 2, y: 3 } }));
  await call("python.divide(1, 0)", "Python", () => divide.delay(1, 0));
  await call("multiply(2, 3) | add(4) | multiply(10)", "TypeScript, Python, TypeScript", () =>
    chain(multiply.s(2, 3), add.s(4), multiply.s(10).set({ queue: "typescript" })).applyAsync(),
  );
} else {
  await call("typescript.multiply(6, 7)", "TypeScript", () => multiply.delay(6, 7));
  await call('typescript.greet("Ada")', "TypeScript", () => greet.delay("Ada"));
  await call("typescript.refuse()", "TypeScript", () => refuse.delay());
  await call("multiply(2, 3) | multiply(10)", "TypeScript", () => chain(multiply.s(2, 3), multiply.s(10)).applyAsync());
}
await app.close();
