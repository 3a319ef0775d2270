import { InvalidArgumentError } from "commander";

/** Readers of option values; each says what is allowed. */

/** A number of seconds. */
export function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError("It is a number of seconds.");
  return value;
}

/** A whole number from 1 up. */
export function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("It is a whole number from 1 up.");
  return value;
}

/** A whole number from 0 up. */
export function countOrNone(text: string): number {
  return text.trim() === "0" ? 0 : count(text);
}

/** Names with commas between them, given once or more often. */
export function names(text: string, before: readonly string[] = []): string[] {
  const found = text
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);
  if (found.length === 0) throw new InvalidArgumentError("It is a list of names with commas between them.");
  return [...before, ...found];
}

/** A time in ISO 8601, of this machine's zone unless it says another. */
export function moment(text: string): Date {
  const value = new Date(text);
  if (Number.isNaN(value.getTime())) {
    throw new InvalidArgumentError("It is a time in ISO 8601, such as 2031-05-06T07:08:09Z.");
  }
  return value;
}

/** Seconds from now, or a time in ISO 8601. */
export function secondsOrMoment(text: string): number | Date {
  return /^\d+(\.\d+)?$/.test(text.trim()) ? seconds(text) : moment(text);
}

/** `HOST:PORT`, or a port alone. */
export function address(text: string): { host: string; port: number } {
  const match = /^(?:(.*):)?(\d+)$/.exec(text);
  const port = Number(match?.[2]);
  if (!match || port > 65535) throw new InvalidArgumentError("It is HOST:PORT, such as 127.0.0.1:8080.");
  return { host: match[1]?.replace(/^\[|\]$/g, "") || "127.0.0.1", port };
}

/** `MAX,MIN` in either order, or the larger alone. */
export function range(text: string): { max: number; min: number } {
  const numbers = text.split(",").map(countOrNone);
  if (numbers.length > 2) throw new InvalidArgumentError("It is MAX,MIN, such as 10,3.");
  const [max = 1, min = 0] = numbers.sort((a, b) => b - a);
  if (max < 1) throw new InvalidArgumentError("Its larger number is 1 at least.");
  return { max, min };
}
