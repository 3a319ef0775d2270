import { ImproperlyConfigured } from "../errors.ts";
import type { Exchange, Queue } from "./entities.ts";

/** The parts of a broker URL. Mirrors `kombu/utils/url.py url_to_parts`. */
export interface AmqpUrl {
  readonly scheme: string;
  readonly hostname: string;
  /** Undefined where the URL names none: 5672, or 5671 with TLS. */
  readonly port: number | undefined;
  readonly username: string;
  readonly password: string;
  readonly virtualHost: string;
  readonly query: Readonly<Record<string, string>>;
}

/**
 * Reads a broker URL as kombu does: what it leaves out is `guest`, `guest`, `localhost` and the virtual host `/`, which
 * `amqp://host`, `amqp://host/` and `amqp://host//` all mean. Every part may be percent-encoded.
 *
 * @throws ImproperlyConfigured when it has no scheme or a port that is none; the message does not show the URL
 */
export function readAmqpUrl(url: string): AmqpUrl {
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?/i.exec(url);
  if (!match) throw new ImproperlyConfigured("a broker URL looks like amqp://user:password@host:5672/virtual-host");
  const [, scheme = "", authority = "", path = "", query = ""] = match;
  const at = authority.lastIndexOf("@");
  const [username, password] = splitOnce(authority.slice(0, Math.max(0, at)), ":");
  const [, hostname = "", port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(authority.slice(at + 1)) ?? [];
  return {
    scheme: scheme.toLowerCase(),
    hostname: unquote(hostname.replace(/^\[|\]$/g, "")).toLowerCase() || "localhost",
    port: readPort(port),
    username: unquote(username) || "guest",
    password: unquote(password) || "guest",
    virtualHost: unquote(path.replace(/^\//, "")) || "/",
    query: readQuery(query),
  };
}

function readPort(text: string | undefined): number | undefined {
  if (!text) return undefined;
  const port = Number(text);
  if (/^\d+$/.test(text) && port > 0 && port < 65536) return port;
  // The text itself is not shown: before a bare slash it is the beginning of a password.
  throw new ImproperlyConfigured("the port is a number from 1 to 65535; in a password, / is written %2F");
}

function readQuery(text: string): Record<string, string> {
  const pairs = text.split("&").filter((pair) => pair.includes("="));
  return Object.fromEntries(pairs.map((pair) => splitOnce(pair.replaceAll("+", " "), "=").map(unquote)));
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** Like Python's `unquote`, leaves a `%` alone that begins no encoded character. */
function unquote(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (encoded) => {
    try {
      return decodeURIComponent(encoded);
    } catch {
      return encoded;
    }
  });
}

/** What `queue.declare` is sent with. */
export interface QueueDeclaration {
  durable: boolean;
  exclusive: boolean;
  autoDelete: boolean;
  arguments: Readonly<Record<string, unknown>>;
}

/** Mirrors `kombu/entity.py Queue`: an exclusive queue is deleted with its connection, whatever else it says. */
export function queueDeclaration(queue: Queue): QueueDeclaration {
  const { durable, exclusive, autoDelete } = queue;
  return { durable, exclusive, autoDelete: autoDelete || exclusive, arguments: queue.arguments };
}

/** False for the default exchange and those that the broker has of its own. Mirrors `kombu/entity.py _can_declare`. */
export function canDeclare(exchange: Exchange): boolean {
  return exchange.name !== "" && !exchange.name.startsWith("amq.");
}

/** The bindings that a queue is declared with; the default exchange needs none. */
export function queueBindings(queue: Queue): { exchange: Exchange; routingKey: string }[] {
  const first = { exchange: queue.exchange, routingKey: queue.routingKey };
  return [first, ...(queue.bindings ?? [])].filter(({ exchange }) => exchange.name !== "");
}

/** How a queue or an exchange that exists differs from what was declared, by RabbitMQ's 406. */
export interface Inequivalence {
  /** `durable`, `auto_delete`, `type` or an `x-…` argument. */
  readonly argument: string;
  /** As text; null for an argument that is not given. */
  readonly ours: string | null;
  readonly theirs: string | null;
}

/** Reads the text of a 406 PRECONDITION_FAILED; undefined for one that is about something else. */
export function readInequivalence(text: string): Inequivalence | undefined {
  const match =
    /inequivalent arg '([^']+)' for (?:queue|exchange) .*: received (?:the value )?(none|'.*?')(?: of type '\w+')? but current is (?:the value )?(none|'.*?')(?: of type '\w+')?"?$/s.exec(
      text,
    );
  if (!match) return undefined;
  const [, argument = "", ours = "", theirs = ""] = match;
  return { argument, ours: valueText(ours), theirs: valueText(theirs) };
}

function valueText(text: string): string | null {
  return text === "none" ? null : text.slice(1, -1);
}

/** The queue that RabbitMQ's 540 names: one that only takes consumers with a limit of their own. */
export function queueWithoutGlobalQos(text: string): string | undefined {
  return /queue '(.*)' in vhost '.*' does not support global qos/s.exec(text)?.[1];
}
