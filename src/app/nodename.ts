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
  const [short = host, ...domain] = host.split(".");
  const parts: Record<string, string> = { h: host, n: short, d: domain.join("."), "%": "%", i: "", I: "" };
  const full = name.includes("@") ? name : `${name}@${host}`;
  return full.replace(/%([hndiI%])/g, (_, letter: string) => parts[letter] ?? "");
}

/**
 * A path or the like with a worker's name in it: `%n` is the name before the `@`, `%h` the host behind it, `%d` the
 * host's domain, `%p` all of it, `%i` the number of the pool's child and 0 in the worker itself, `%I` the same with a
 * dash before it and nothing in the worker. Mirrors `celery/utils/nodenames.py node_format`.
 */
export function nodeFormat(text: string, node: string, index = 0): string {
  const at = node.indexOf("@");
  const [name, host] = [node.slice(0, at), node.slice(at + 1)];
  const [, ...domain] = host.split(".");
  const number = String(index);
  const parts: Record<string, string> = { n: name, h: host, d: domain.join("."), p: node, "%": "%", i: number };
  parts.I = index === 0 ? "" : `-${number}`;
  return text.replace(/%([nhdpiI%])/g, (_, letter: string) => parts[letter] ?? "");
}
