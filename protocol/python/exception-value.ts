/**
 * An exception of Python as a value. Pickle carries exceptions as objects, where every other serializer has a dict of
 * `exc_type`, `exc_message` and `exc_module`.
 */
export class ExceptionValue {
  /** The class's qualified name: `ValueError`, `Outer.Inner`. */
  readonly type: string;
  readonly module: string;
  /** What the exception is made from again; its `args`, for nearly all classes. */
  readonly args: unknown[];
  /** Attributes beside the args, which Python keeps in `__dict__`. */
  readonly state: Record<string, unknown> | null;

  constructor(
    module: string,
    type: string,
    args: Iterable<unknown> = [],
    state: Record<string, unknown> | null = null,
  ) {
    this.module = module;
    this.type = type;
    this.args = [...args];
    this.state = state;
  }
}
