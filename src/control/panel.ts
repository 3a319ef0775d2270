import type { z } from "zod";
import { TaskTypeError } from "../app/errors.ts";
import type { PanelContext } from "./panel-context.ts";

/** What a command is told to its users by. Mirrors `celery/worker/control.py controller_info_t`. */
export interface CommandInfo {
  name: string;
  /** An older name that it answers to as well. */
  alias?: string;
  /** Its arguments, in the order of the command line, with what reads each of them there. */
  args?: readonly (readonly [name: string, read: (text: string) => unknown])[];
  /** The argument that takes the rest of the command line, as a list. */
  variadic?: string;
  /** How the arguments are shown in the help. */
  signature?: string;
  /** One sentence. */
  help?: string;
  /** False to leave it out of the help. */
  visible?: boolean;
}

/** A remote control command. */
export interface Command extends CommandInfo {
  /** `inspect` asks and changes nothing, `control` does something. */
  type: "inspect" | "control";
  /** @throws anything, which is answered as `{ error }` */
  run(context: PanelContext, args: Record<string, unknown>): unknown;
}

/** What a command returns that leaves the answering to others. */
export const NO_REPLY = Symbol("no reply");

/** `{ ok: value }` */
export function ok(value: unknown): { ok: unknown } {
  return { ok: value };
}

/** `{ error: value }`: it was understood and not done. */
export function nok(value: string): { error: string } {
  return { error: value };
}

/** A command whose arguments are checked first; others than those of `params` are passed over. */
export function command<P extends z.ZodObject>(
  info: CommandInfo & { type: Command["type"]; params: P },
  run: (context: PanelContext, args: z.output<P>) => unknown,
): Command {
  const { params, ...rest } = info;
  return {
    ...rest,
    run(context, args) {
      const parsed = params.safeParse(args);
      if (parsed.success) return run(context, parsed.data);
      throw new TaskTypeError(problem(info.name, parsed.error, args));
    },
  };
}

/** In Python's words where Python has some. */
function problem(name: string, error: z.ZodError, args: Record<string, unknown>): string {
  const missing = error.issues.map((issue) => String(issue.path[0])).filter((key) => args[key] === undefined);
  if (missing.length === 0) {
    const [issue] = error.issues;
    return `${name}() argument '${issue?.path.join(".")}': ${issue?.message}`;
  }
  const quoted = missing.map((key) => `'${key}'`);
  const listed = quoted.length < 3 ? quoted.join(" and ") : `${quoted.slice(0, -1).join(", ")}, and ${quoted.at(-1)}`;
  const many = quoted.length === 1 ? "argument" : "arguments";
  return `${name}() missing ${quoted.length} required positional ${many}: ${listed}`;
}

/** The commands that the workers of an application answer to. Mirrors `celery/worker/control.py Panel`. */
export class Panel {
  readonly #commands = new Map<string, Command>();
  readonly #aliases = new Map<string, string>();

  constructor(commands: readonly Command[]) {
    for (const command of commands) this.register(command);
  }

  /** Adds a command, or puts it in the place of the one with its name. */
  register(command: Command): void {
    this.#commands.set(command.name, command);
    if (command.alias !== undefined) this.#aliases.set(command.alias, command.name);
  }

  /** The command of a name or an alias. */
  get(name: string): Command | undefined {
    return this.#commands.get(name) ?? this.#commands.get(this.#aliases.get(name) ?? "");
  }

  /** The commands of a type that are to be seen, by name. */
  ofType(type: Command["type"]): Command[] {
    return [...this.#commands.values()]
      .filter((command) => command.type === type && command.visible !== false)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
