import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { resolveSettings, SETTING_NAMES } from "../../../src/app/settings.ts";
import { ROOT } from "../../support/tree.ts";

const rows = readFileSync(join(ROOT, "docs/settings.md"), "utf8").matchAll(/^\| `(\w+)` +\| `([^`]*)` +\|/gm);
const documented = new Map([...rows].map(([, name = "", value = ""]) => [name, value]));
const { settings } = resolveSettings({});

it.each(SETTING_NAMES)("docs/settings.md has %s, and its default", (name) => {
  const value = settings[name as keyof typeof settings] as unknown;
  expect(JSON.parse(documented.get(name) ?? `"not in the docs"`)).toEqual(value);
});
