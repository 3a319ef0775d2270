import { z } from "zod";

/** An argument that is on or off: true for all that is true in Python, as monitors send 1 for it. */
export const flag = z.unknown().optional().transform(Boolean);

/** Readers of arguments on the command line. Mirrors `celery/utils/serialization.py strtobool`. */

const BOOLS: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  "1": true,
  false: false,
  no: false,
  off: false,
  "0": false,
};

/** `true`, `yes`, `on`, `1` or their contraries. @throws TypeError */
export function bool(text: string): boolean {
  const value = BOOLS[text.toLowerCase()];
  if (value === undefined) throw new TypeError(`Cannot coerce '${text}' to type bool`);
  return value;
}

/** A whole number. @throws TypeError */
export function int(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value)) throw new TypeError(`'${text}' is no whole number`);
  return value;
}

/** A number. @throws TypeError */
export function float(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new TypeError(`'${text}' is no number`);
  return value;
}

/** The text itself. */
export function text(given: string): string {
  return given;
}
