import { hostname } from "node:os";

/** `gen<pid>@<host>`: who sends, when it is no worker. Mirrors `celery/utils/nodenames.py anon_nodename`. */
export function anonNodename(): string {
  return `gen${process.pid}@${hostname()}`;
}

/**
 * A worker's node name. In it, `%h` is the host's full name, `%n` its first part, `%d` the rest, `%%` a percent sign.
 * Mirrors `celery/utils/nodenames.py host_format`.
 *
 * @param name what `-n` says, `@<host>` added when it has no host; `celeriac@<host>` when left out: two
 *   nodes of one name cannot live on one broker, and a Python worker on this host is `celery@<host>`
 */
export function nodename(name = "celeriac"): string {
  const host = hostname();
  const full = name.includes("@") ? name : `${name}@${host}`;
  const [short = host, ...domain] = host.split(".");
  return filledIn(full, { h: host, n: short, d: domain.join(".") });
}

/**
 * A path or the like that belongs to a node: `%h` is the node's whole name, `%n` what stands before the `@`, `%d` what
 * stands after it. Mirrors `celery/utils/nodenames.py node_format`.
 */
export function nodeFormat(text: string, node: string): string {
  const at = node.indexOf("@");
  return filledIn(text, { h: node, n: node.slice(0, at), d: node.slice(at + 1) });
}

function filledIn(text: string, parts: Readonly<Record<string, string>>): string {
  const all: Record<string, string> = { ...parts, "%": "%", i: "", I: "" };
  return text.replace(/%([hndiI%])/g, (_, letter: string) => all[letter] ?? "");
}
