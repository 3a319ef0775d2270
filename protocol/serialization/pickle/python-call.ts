/** A value that pickle writes as a call, `module.name(*args)`, which Python makes when it reads it. */
export class PythonCall {
  readonly module: string;
  readonly name: string;
  readonly args: readonly unknown[];

  constructor(module: string, name: string, args: readonly unknown[]) {
    this.module = module;
    this.name = name;
    this.args = args;
  }
}
