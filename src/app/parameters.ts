import { type Pattern, parseExpressionAt } from "acorn";
import { TaskTypeError } from "./errors.ts";

/** One parameter of a handler. */
export interface Parameter {
  /** Undefined where the source has none: a destructured parameter. */
  name: string | undefined;
  required: boolean;
  /** True for `...rest`, Python's `*args`. */
  rest: boolean;
  /** What only Python has, told by the task's option `parameters`: keyword-only, `*args` as a list, `**kwargs` as an object. */
  kind?: "keyword" | "args" | "kwargs";
}

/**
 * The parameters of a function, read from its source.
 * @returns undefined when the source cannot be read, as for a bound or native function
 */
export function parametersOf(handler: (...args: never[]) => unknown): Parameter[] | undefined {
  const source = Function.prototype.toString.call(handler);
  const patterns = parse(`(${source})`) ?? parse(`({${source}})`) ?? parse(`(class {${source}})`);
  return patterns?.map(parameter);
}

function parse(source: string): Pattern[] | undefined {
  try {
    // biome-ignore lint/suspicious/noExplicitAny: acorn's node types do not narrow by the shape that is looked for
    const node: any = parseExpressionAt(source, 0, { ecmaVersion: "latest" });
    if (node.type === "ObjectExpression") return node.properties[0]?.value?.params;
    if (node.type === "ClassExpression") return node.body.body[0]?.value?.params;
    return node.params;
  } catch {
    return undefined;
  }
}

function parameter(pattern: Pattern): Parameter {
  if (pattern.type === "AssignmentPattern") return { name: nameOf(pattern.left), required: false, rest: false };
  if (pattern.type === "RestElement") return { name: nameOf(pattern.argument), required: false, rest: true };
  return { name: nameOf(pattern), required: true, rest: false };
}

function nameOf(pattern: Pattern): string | undefined {
  return pattern.type === "Identifier" ? pattern.name : undefined;
}

/**
 * Parameters that the task's options name, as Python writes them: `["x", "*args", "label", "**kwargs"]`. `*args` reaches the
 * handler as a list, `**kwargs` as an object; what stands behind `*args`, or a bare `*`, is only taken by name.
 *
 * @param requiredCount how many come before the first JavaScript default: those are required
 */
export function namedParameters(names: readonly string[], requiredCount: number): Parameter[] {
  const firstStar = names.findIndex((name) => name.startsWith("*"));
  return names
    .map((name, position): Parameter & { position: number } => {
      const kind = kindOf(name, firstStar >= 0 && position > firstStar);
      const given = { name: name.replace(/^\*+/, ""), rest: false, position };
      return kind ? { ...given, kind, required: kind === "keyword" } : { ...given, required: true };
    })
    .filter(({ name }) => name !== "")
    .map(({ position: _, ...parameter }, position) => ({
      ...parameter,
      required: parameter.required && position < requiredCount,
    }));
}

function kindOf(name: string, behindStar: boolean): Parameter["kind"] {
  if (name.startsWith("**")) return "kwargs";
  if (name.startsWith("*")) return "args";
  return behindStar ? "keyword" : undefined;
}

/**
 * Lays positional and keyword arguments out in the order of the parameters, as a Python call does.
 *
 * @param name the function's name in the messages: the last part of the task's
 * @throws TaskTypeError in Python's wording for a call that does not fit
 */
export function bindArguments(
  name: string,
  parameters: readonly Parameter[] | undefined,
  args: readonly unknown[],
  kwargs: Record<string, unknown>,
): unknown[] {
  const keywords = Object.keys(kwargs);
  if (parameters?.some(({ kind }) => kind)) return bindPython(name, parameters, args, kwargs);
  if (!parameters) {
    if (keywords.length === 0) return [...args];
    throw unreadable(name);
  }
  const positional = parameters.filter((parameter) => !parameter.rest);
  const bound: unknown[] = [...args];
  const given = new Set<number>(args.keys());
  for (const keyword of keywords) {
    const position = positional.findIndex((parameter) => parameter.name === keyword);
    if (position < 0) {
      if (positional.some((parameter) => parameter.name === undefined)) throw unreadable(name);
      throw new TaskTypeError(`${name}() got an unexpected keyword argument '${keyword}'`);
    }
    if (position < args.length) throw new TaskTypeError(`${name}() got multiple values for argument '${keyword}'`);
    bound[position] = kwargs[keyword];
    given.add(position);
  }
  if (args.length > positional.length && positional.length === parameters.length) {
    throw new TaskTypeError(tooMany(name, positional, args.length));
  }
  const missing = positional.filter((parameter, position) => parameter.required && !given.has(position));
  if (missing.length > 0) throw new TaskTypeError(missingArguments(name, missing));
  return Array.from(bound);
}

/** The same where there is what only Python has. Each parameter is one argument of the handler's. */
function bindPython(
  name: string,
  parameters: readonly Parameter[],
  args: readonly unknown[],
  kwargs: Record<string, unknown>,
): unknown[] {
  const positional = parameters.filter(({ kind }) => !kind);
  const more = args.slice(positional.length);
  if (more.length > 0 && !parameters.some(({ kind }) => kind === "args")) {
    throw new TaskTypeError(tooMany(name, positional, args.length));
  }
  const given = new Map<Parameter, unknown>();
  for (const [position, parameter] of positional.entries()) {
    if (position < args.length) given.set(parameter, args[position]);
  }
  const others: [string, unknown][] = [];
  const takesOthers = parameters.some(({ kind }) => kind === "kwargs");
  for (const [keyword, value] of Object.entries(kwargs)) {
    const parameter = parameters.find(
      ({ name: known, kind }) => known === keyword && kind !== "args" && kind !== "kwargs",
    );
    if (parameter && given.has(parameter)) {
      throw new TaskTypeError(`${name}() got multiple values for argument '${keyword}'`);
    }
    if (parameter) given.set(parameter, value);
    else if (takesOthers) others.push([keyword, value]);
    else throw new TaskTypeError(`${name}() got an unexpected keyword argument '${keyword}'`);
  }
  const missing = parameters.filter((parameter) => parameter.required && !given.has(parameter));
  const missingPositional = missing.filter(({ kind }) => !kind);
  if (missingPositional.length > 0) throw new TaskTypeError(missingArguments(name, missingPositional));
  if (missing.length > 0) throw new TaskTypeError(missingArguments(name, missing, "keyword-only"));
  return parameters.map((parameter) => {
    if (parameter.kind === "args") return more;
    return parameter.kind === "kwargs" ? Object.fromEntries(others) : given.get(parameter);
  });
}

function unreadable(name: string): TaskTypeError {
  return new TaskTypeError(
    `${name}() was called with keyword arguments, but its parameters cannot be read from its source: give the task option parameters: ["x", "y"]`,
  );
}

function tooMany(name: string, positional: readonly Parameter[], given: number): string {
  const most = positional.length;
  const least = positional.filter((parameter) => parameter.required).length;
  const range = least === most ? `${most}` : `from ${least} to ${most}`;
  return `${name}() takes ${range} positional argument${most === 1 ? "" : "s"} but ${given} ${given === 1 ? "was" : "were"} given`;
}

function missingArguments(name: string, missing: readonly Parameter[], kind = "positional"): string {
  const names = missing.map((parameter, position) => `'${parameter.name ?? `argument ${position + 1}`}'`);
  const last = names.at(-1) as string;
  const list = names.length < 3 ? names.join(" and ") : `${names.slice(0, -1).join(", ")}, and ${last}`;
  return `${name}() missing ${names.length} required ${kind} argument${names.length === 1 ? "" : "s"}: ${list}`;
}
