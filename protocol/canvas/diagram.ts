import { saferepr } from "../python/saferepr.ts";
import type { ResultNode } from "../result/result-tuple.ts";
import { bodyOf, listOption, type SignatureData, tasksOf } from "./signature.ts";

/** How much of a task's arguments is shown: characters. */
const SHOWN_ARGUMENTS = 60;

/** Colours of the states that have one. */
const COLOURS: Readonly<Record<string, string>> = {
  SUCCESS: "#c8e6c9",
  FAILURE: "#ffcdd2",
  REVOKED: "#e1bee7",
  RETRY: "#ffe0b2",
  STARTED: "#bbdefb",
};

/** What is known of a task when its result is drawn. */
export interface DrawnTask {
  status: string;
  /** Its task's name, where results are extended. */
  name?: string | null;
}

/** Where a drawn part begins and ends: names of nodes. */
interface Ends {
  first: string[];
  last: string[];
}

/**
 * A canvas as a flowchart in the language of Mermaid: an arrow from each task to those that get its result, a frame round
 * those that run at the same time, dotted arrows to callbacks and errbacks.
 */
export function canvasDiagram(sig: SignatureData): string {
  const diagram = new Diagram();
  drawSignature(diagram, sig);
  return diagram.text();
}

/**
 * A result with all that it follows or is made of, each task with its state.
 * @param tasks what is known of them, by id
 */
export function resultDiagram(result: ResultNode, tasks: ReadonlyMap<string, DrawnTask>): string {
  const diagram = new Diagram();
  drawResult(diagram, result, tasks);
  return diagram.text();
}

function drawSignature(diagram: Diagram, sig: SignatureData): Ends {
  const ends = drawCanvas(diagram, sig);
  for (const [option, label] of [
    ["link", "then"],
    ["link_error", "on error"],
  ] as const) {
    for (const linked of listOption(sig, option)) {
      diagram.connect(ends.last, drawSignature(diagram, linked).first, label);
    }
  }
  return ends;
}

function drawCanvas(diagram: Diagram, sig: SignatureData): Ends {
  switch (sig.subtask_type) {
    case "chain":
      return tasksOf(sig).reduce<Ends>(
        (before, task) => {
          const next = drawSignature(diagram, task);
          diagram.connect(before.last, next.first);
          return { first: before.first.length > 0 ? before.first : next.first, last: next.last };
        },
        { first: [], last: [] },
      );
    case "group":
      return diagram.framed("group", tasksOf(sig), (task) => drawSignature(diagram, task));
    case "chord": {
      const header = diagram.framed("chord", tasksOf(sig), (task) => drawSignature(diagram, task));
      const body = bodyOf(sig);
      if (!body) return header;
      const end = drawSignature(diagram, body);
      diagram.connect(header.last, end.first);
      return { first: header.first.length > 0 ? header.first : end.first, last: end.last };
    }
    default:
      return diagram.node(labelOf(sig));
  }
}

/** A call as Python writes it; of a map, how often its task is called. */
function labelOf({ task, args, kwargs }: SignatureData): string {
  const { task: called, it } = kwargs as { task?: { task?: unknown }; it?: unknown };
  if (task.startsWith("celery.") && typeof called?.task === "string" && Array.isArray(it)) {
    return `${task.slice("celery.".length)} of ${called.task}, ${it.length} calls`;
  }
  const positional = saferepr(args, SHOWN_ARGUMENTS).slice(1, -1);
  const keywords = Object.entries(kwargs).map(([name, value]) => `${name}=${saferepr(value, SHOWN_ARGUMENTS)}`);
  return `${task}(${[...(positional ? [positional] : []), ...keywords].join(", ")})`;
}

function drawResult(diagram: Diagram, node: ResultNode, tasks: ReadonlyMap<string, DrawnTask>): Ends {
  const before = node.parent && drawResult(diagram, node.parent, tasks);
  const drawn = node.results
    ? diagram.framed("group", node.results, (member) => drawResult(diagram, { ...member, parent: null }, tasks))
    : drawTask(diagram, node.id, tasks.get(node.id) ?? { status: "PENDING" });
  if (!before) return drawn;
  diagram.connect(before.last, drawn.first);
  return { first: before.first, last: drawn.last };
}

function drawTask(diagram: Diagram, id: string, { status, name }: DrawnTask): Ends {
  return diagram.node(`${name ?? id} ${status}`, status);
}

/** Lines of a flowchart, under way. */
class Diagram {
  readonly #lines: string[] = [];
  readonly #edges: string[] = [];
  readonly #styled = new Map<string, string[]>();
  #count = 0;
  #depth = 1;

  node(label: string, state?: string): Ends {
    const name = this.#name();
    this.#line(`${name}["${escaped(label)}"]`);
    if (state && COLOURS[state]) this.#styled.set(state, [...(this.#styled.get(state) ?? []), name]);
    return { first: [name], last: [name] };
  }

  framed<T>(title: string, parts: readonly T[], draw: (part: T) => Ends): Ends {
    this.#line(`subgraph ${this.#name()}["${title}"]`);
    this.#depth += 1;
    const ends = parts.map(draw);
    this.#depth -= 1;
    this.#line("end");
    return { first: ends.flatMap(({ first }) => first), last: ends.flatMap(({ last }) => last) };
  }

  connect(from: readonly string[], to: readonly string[], label?: string): void {
    const arrow = label ? `-. ${label} .->` : "-->";
    if (from.length > 0 && to.length > 0) this.#edges.push(`  ${from.join(" & ")} ${arrow} ${to.join(" & ")}`);
  }

  text(): string {
    const styles = [...this.#styled].flatMap(([state, names]) => [
      `  classDef ${state} fill:${COLOURS[state]}`,
      `  class ${names.join(",")} ${state}`,
    ]);
    return ["flowchart LR", ...this.#lines, ...this.#edges, ...styles, ""].join("\n");
  }

  #name(): string {
    this.#count += 1;
    return `n${this.#count}`;
  }

  #line(text: string): void {
    this.#lines.push("  ".repeat(this.#depth) + text);
  }
}

/** Text that ends no label and is no markup: Mermaid writes characters as `#34;`. */
function escaped(label: string): string {
  return label.replace(/[^\w .,:()[\]{}=*+'/-]/gu, (sign) => `#${sign.codePointAt(0)};`);
}
