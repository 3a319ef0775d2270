import { repr } from "../../protocol/python/repr.ts";
import { maskedUrl } from "../masked-url.ts";
import { type Settings, snakeCase } from "./settings.ts";

/** Names that tell of secrets. Mirrors `celery/app/utils.py HIDDEN_SETTINGS`. */
const HIDDEN = /api|token|key|secret|pass|profanities_list|signature|database|beat_dburi/i;

const MASK = "********";

/**
 * Settings under Celery's names, to be shown to others: what may be secret is masked, and what JSON cannot carry is
 * shown as text. Mirrors `celery/app/utils.py Settings.table`.
 *
 * @param names those to show, in camelCase; null for all
 */
export function settingsTable(settings: Settings, names: readonly string[] | null): Record<string, unknown> {
  const all = Object.entries(settings).filter(([name]) => names === null || names.includes(name));
  return hiddenIn(Object.fromEntries(all.map(([name, value]) => [snakeCase(name), value])));
}

/** A mapping with what may be secret in it masked, at any depth. */
export function hiddenIn(mapping: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(mapping).map(([name, value]) => [name, hidden(name, value)]));
}

function hidden(name: string, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  if (isPlain(value)) return hiddenIn(value);
  if (HIDDEN.test(name)) return MASK;
  return shown(value);
}

function shown(value: unknown): unknown {
  if (typeof value === "string") return maskedUrl(value);
  if (typeof value === "number" || typeof value === "boolean" || value === null) return value;
  if (Array.isArray(value)) return value.map(shown);
  if (isPlain(value)) return hiddenIn(value);
  if (typeof value === "function") return `<function ${value.name || "anonymous"}>`;
  return value instanceof RegExp ? String(value) : repr(value);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
