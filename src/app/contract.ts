import { CeleryError, TaskTypeError } from "./errors.ts";
import { bindArguments, type Parameter } from "./parameters.ts";

/** What is asked of a schema. zod's objects have it, and so have those of another copy of zod. */
export interface Schema {
  safeParse(value: unknown): { success: true; data: unknown } | { success: false; error: { issues: SchemaIssue[] } };
  safeParseAsync(value: unknown): Promise<ReturnType<Schema["safeParse"]>>;
}

interface SchemaIssue {
  path: PropertyKey[];
  message: string;
}

/** A schema of an object whose keys are a task's parameters. */
export interface ObjectSchema extends Schema {
  readonly shape: Record<string, Schema>;
}

/** Arguments or a result that the task's contract refuses; the message names the key. */
export class ValidationError extends CeleryError {
  static override readonly pythonName = "celeriac.ValidationError";
}

/** A task's contract: `params` and `returns` of its options. */
export class Contract {
  readonly #name: string;
  readonly #params: ObjectSchema;
  readonly #parameters: readonly Parameter[];

  /** @throws TypeError when `params` is no object schema */
  constructor(name: string, params: unknown) {
    if (!isObjectSchema(params)) throw new TypeError(`task ${name}: params must be a zod object`);
    this.#name = name;
    this.#params = params;
    this.#parameters = Object.entries(params.shape).map(([key, schema]) => ({
      name: key,
      required: isRequired(schema),
      rest: false,
    }));
  }

  /**
   * The handler's one argument: positional arguments by the order of the keys, keywords by name, defaults applied.
   * @throws TaskTypeError in Python's wording for a call that does not fit; ValidationError for a refused value
   */
  async bind(args: readonly unknown[], kwargs: Record<string, unknown>): Promise<unknown> {
    return validate(this.#params, this.#named(args, kwargs), "argument");
  }

  #named(args: readonly unknown[], kwargs: Record<string, unknown>): Record<string, unknown> {
    const known = this.#parameters.map((parameter) => parameter.name as string);
    const others = Object.entries(kwargs).filter(([key]) => !known.includes(key));
    if (others.length > 0 && !takesOthers(this.#params)) {
      throw new TaskTypeError(`${this.#name}() got an unexpected keyword argument '${others[0]?.[0]}'`);
    }
    const own = Object.fromEntries(Object.entries(kwargs).filter(([key]) => known.includes(key)));
    const bound = bindArguments(this.#name, this.#parameters, args, own);
    const entries = known.map((key, position) => [key, bound[position]] as const);
    return Object.fromEntries([...entries.filter(([, value]) => value !== undefined), ...others]);
  }
}

/** @throws ValidationError naming what was refused */
export async function validate(schema: Schema, value: unknown, what: "argument" | "result"): Promise<unknown> {
  const result = await parse(schema, value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `${path.map(String).join(".") || what}: ${message}`);
  throw new ValidationError(problems.join("; "));
}

async function parse(schema: Schema, value: unknown): Promise<ReturnType<Schema["safeParse"]>> {
  try {
    return schema.safeParse(value);
  } catch {
    // A schema with an asynchronous check says so by throwing.
    return schema.safeParseAsync(value);
  }
}

/** A schema that looks at what it is given later on, has taken undefined so far. */
function isRequired(schema: Schema): boolean {
  try {
    return !schema.safeParse(undefined).success;
  } catch {
    return false;
  }
}

function isObjectSchema(value: unknown): value is ObjectSchema {
  const schema = value as ObjectSchema | null | undefined;
  return typeof schema?.safeParse === "function" && typeof schema.shape === "object" && schema.shape !== null;
}

/** True for `z.looseObject` and `catchall`, Python's `**kwargs`. */
function takesOthers(schema: ObjectSchema): boolean {
  const definition = (schema as { _zod?: { def?: { catchall?: { _zod?: { def?: { type?: string } } } } } })._zod?.def;
  return definition?.catchall !== undefined && definition.catchall._zod?.def?.type !== "never";
}
