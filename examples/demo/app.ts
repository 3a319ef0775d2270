import { Celery } from "celeriac";

const folder = process.env.DEMO_FOLDER ?? "";

/** The TypeScript half of the demo. */
export const app = new Celery("typescript_tasks", {
  broker: "filesystem://",
  backend: `file://${folder}/results`,
  taskDefaultQueue: "typescript",
  brokerTransportOptions: {
    data_folder_in: `${folder}/queue`,
    data_folder_out: `${folder}/queue`,
    control_folder: `${folder}/control`,
  },
});

export const multiply = app.task("typescript.multiply", (x: number, y: number) => x * y);

export const greet = app.task("typescript.greet", (name: string, greeting = "Hello") => `${greeting}, ${name}!`);

export const refuse = app.task("typescript.refuse", () => {
  throw new RangeError("not today");
});

/** Tasks that Python serves. */
export const add = app.remote<[x: number, y: number], number>("python.add", { queue: "python" });
export const divide = app.remote<[x: number, y: number], number>("python.divide", { queue: "python" });
