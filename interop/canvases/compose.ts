import { type Celery, chain, chord, group, type Signature } from "../../src/index.ts";
import type { Language, Shape } from "./random-canvas.ts";

/** The queue of each language's worker. */
export type Queues = Readonly<Record<Language, string>>;

/** Composes a canvas by the client of TypeScript. @param canvas the name under which its tasks count their runs */
export function compose(app: Celery, queues: Queues, canvas: string, shape: Shape): Signature {
  const inner = (part: Shape): Signature => compose(app, queues, canvas, part);
  switch (shape.kind) {
    case "task": {
      const { tag, does, language, immutable } = shape;
      const step = app.signature("canvas.step", [], { kwargs: { canvas, tag, does }, queue: queues[language] });
      return immutable ? step.set({ immutable }) : step;
    }
    case "chain":
      return chain(...shape.parts.map(inner));
    case "group":
      return group(...shape.parts.map(inner));
    case "chord":
      return chord(shape.header.map(inner), inner(shape.body));
  }
}

/** The same by the client of Python: defines `send(canvas, shape)` and `outcome(canvas, timeout)` there. */
export function composeInPython(queues: Queues): string {
  return `
import json
import time
from canvas_tasks import shown
QUEUES = ${JSON.stringify(queues)}
def compose(canvas, shape):
    kind = shape["kind"]
    if kind == "task":
        kwargs = {"canvas": canvas, "tag": shape["tag"], "does": shape["does"]}
        return signature("canvas.step", kwargs=kwargs, queue=QUEUES[shape["language"]], immutable=shape["immutable"])
    if kind == "chord":
        return chord([compose(canvas, part) for part in shape["header"]], compose(canvas, shape["body"]))
    return {"chain": chain, "group": group}[kind](*[compose(canvas, part) for part in shape["parts"]])
SENT = {}
def send(canvas, shape):
    SENT[canvas] = compose(canvas, shape).apply_async()
def outcome(canvas, timeout):
    result, deadline = SENT.pop(canvas), time.time() + timeout
    while not result.ready() and not result.failed():
        if time.time() > deadline:
            return "pending"
        time.sleep(0.05)
    return "failed" if result.failed() else shown(result.get(timeout=5))
`;
}
