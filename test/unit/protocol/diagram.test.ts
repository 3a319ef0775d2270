import { describe, expect, it } from "vitest";
import { canvasDiagram, resultDiagram } from "../../../protocol/canvas/diagram.ts";
import { chainOf, chordOf, groupOf, signature } from "../../../protocol/canvas/signature.ts";

const task = (name: string, ...args: unknown[]) => signature(`tasks.${name}`, args);
const lines = (text: string): string[] => text.trimEnd().split("\n");

describe("a canvas as a flowchart", () => {
  it("leads from each task to those that get its result", () => {
    const sig = chainOf([task("a", 1), groupOf([task("b"), task("c")])]);
    expect(lines(canvasDiagram(sig))).toEqual([
      "flowchart LR",
      '  n1["tasks.a(1)"]',
      '  subgraph n2["group"]',
      '    n3["tasks.b()"]',
      '    n4["tasks.c()"]',
      "  end",
      "  n1 --> n3 & n4",
    ]);
  });

  it("has a chord's header lead to its body, and dotted lines to callbacks", () => {
    const header = task("a");
    header.options.link_error = [task("err")];
    const body = task("sum");
    body.options.link = [task("done")];
    expect(lines(canvasDiagram(chordOf([header, task("b")], body)))).toEqual([
      "flowchart LR",
      '  subgraph n1["chord"]',
      '    n2["tasks.a()"]',
      '    n3["tasks.err()"]',
      '    n4["tasks.b()"]',
      "  end",
      '  n5["tasks.sum()"]',
      '  n6["tasks.done()"]',
      "  n2 -. on error .-> n3",
      "  n5 -. then .-> n6",
      "  n2 & n4 --> n5",
    ]);
  });

  it("says how often a map calls its task", () => {
    const map = signature("celery.map", [], { task: task("a"), it: [1, 2, 3] });
    expect(lines(canvasDiagram(map))[1]).toBe('  n1["map of tasks.a, 3 calls"]');
  });

  it("lets no name or argument out of its label", () => {
    const [, label] = lines(canvasDiagram(signature('x"] --> evil', ["<script>&#;`\n", "ü"], { k: '"' })));
    expect(label).toMatch(/^ {2}n1\["[\w .,:()[\]{}=*+'/#;-]*"\]$/);
    expect(label).not.toMatch(/[<>&`]|".*".*"/);
  });
});

describe("a result as a flowchart", () => {
  it("shows each task with its state", () => {
    const one = (id: string) => ({ id, parent: null, results: null });
    const header = { id: "g", parent: one("first"), results: [one("a"), one("b")] };
    const tasks = new Map([
      ["first", { status: "SUCCESS", name: "tasks.start" }],
      ["a", { status: "FAILURE" }],
    ]);
    expect(lines(resultDiagram({ id: "body", parent: header, results: null }, tasks))).toEqual([
      "flowchart LR",
      '  n1["tasks.start SUCCESS"]',
      '  subgraph n2["group"]',
      '    n3["a FAILURE"]',
      '    n4["b PENDING"]',
      "  end",
      '  n5["body PENDING"]',
      "  n1 --> n3 & n4",
      "  n3 & n4 --> n5",
      "  classDef SUCCESS fill:#c8e6c9",
      "  class n1 SUCCESS",
      "  classDef FAILURE fill:#ffcdd2",
      "  class n3 FAILURE",
    ]);
  });
});
