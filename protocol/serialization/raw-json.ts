/**
 * JSON text that is written again exactly as it came. It stands for what a JavaScript value would change on its way
 * through: `1.0`, integers beyond 2^53, an object with integer-like keys (whose order JavaScript does not keep).
 */
export class RawJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}
