import picomatch from "picomatch";
import { repr } from "../../protocol/python/repr.ts";
import type { Queue } from "../../protocol/transport/entities.ts";
import { ImproperlyConfigured, TaskTypeError } from "./errors.ts";
import type { Queues } from "./queues.ts";

/** Where a route sends a task: a queue's name, or send options. */
export type Destination = string | Record<string, unknown>;

/** A route that decides by itself; undefined or null leaves it to the next one. */
export type RouteFunction = (
  name: string,
  args: readonly unknown[],
  kwargs: Record<string, unknown>,
  options: Record<string, unknown>,
) => Destination | null | undefined;

/** One entry of `taskRoutes`: task names or globs to destinations, the same as pairs (also with RegExp), or a function. */
export type RouteSetting = Record<string, Destination> | [string | RegExp, Destination][] | RouteFunction;

/** Send options after routing; `queue` is now the queue itself. */
export type RoutedOptions = Record<string, unknown> & { queue?: Queue };

/** Decides which queue a task goes to. Mirrors `celery/app/routes.py Router`. */
export class Router {
  readonly #routes: RouteFunction[];
  readonly #queues: Queues;
  readonly #defaultQueue: string;

  /** @throws ImproperlyConfigured when `taskRoutes` is not made of routes */
  constructor(routes: RouteSetting | RouteSetting[] | null, queues: Queues, defaultQueue: string) {
    this.#routes = routeList(routes).map(routeFunction);
    this.#queues = queues;
    this.#defaultQueue = defaultQueue;
  }

  /** True when no task is ever treated differently from another, so that a route can be kept for all. */
  get isTrivial(): boolean {
    return this.#routes.length === 0;
  }

  /**
   * The options a task is sent with: those given win over the route's, and a queue given by name is looked up.
   * @throws QueueNotFound when the queue is unknown and may not be made
   */
  route(
    options: Record<string, unknown>,
    name: string,
    args: readonly unknown[],
    kwargs: Record<string, unknown>,
  ): RoutedOptions {
    const own = this.#expand(options);
    for (const route of this.#routes) {
      const destination = route(name, args, kwargs, own);
      if (destination !== null && destination !== undefined) return overlay(this.#expand(destination), own);
    }
    return "queue" in own ? own : overlay(this.#expand(this.#defaultQueue), own);
  }

  #expand(destination: Destination): RoutedOptions {
    if (typeof destination === "string") return { queue: this.#queues.get(destination) };
    const { queue, ...options } = destination;
    if (queue === undefined || queue === null || queue === "") return options;
    if (typeof queue === "string") return { ...options, queue: this.#queues.get(queue) };
    if (typeof (queue as Queue).name !== "string") {
      throw new TaskTypeError(`a queue is given by its name, not as ${repr(queue)}`);
    }
    return { ...options, queue: queue as Queue };
  }
}

/** Values of the second win, but null leaves the first one's. */
function overlay(below: RoutedOptions, above: RoutedOptions): RoutedOptions {
  const all: RoutedOptions = { ...below };
  for (const name in above) if (above[name] !== null && above[name] !== undefined) all[name] = above[name];
  return all;
}

function routeList(routes: RouteSetting | RouteSetting[] | null): RouteSetting[] {
  if (routes === null) return [];
  // A list of pairs is one route; a list of anything else is a list of routes.
  const isPairs = Array.isArray(routes) && routes.every((entry) => Array.isArray(entry) && entry.length === 2);
  return Array.isArray(routes) && !isPairs ? (routes as RouteSetting[]) : [routes as RouteSetting];
}

function routeFunction(route: RouteSetting): RouteFunction {
  if (typeof route === "function") return route;
  if (typeof route !== "object" || route === null) {
    throw new ImproperlyConfigured(
      `Setting taskRoutes: a route is a mapping, a list of pairs or a function, not ${route}`,
    );
  }
  const exact = new Map<string, Destination>();
  const patterns: { matches: (name: string) => boolean; destination: Destination }[] = [];
  for (const [key, destination] of Array.isArray(route) ? route : Object.entries(route)) {
    if (key instanceof RegExp) patterns.push({ matches: startsWith(key), destination });
    else if (key.includes("*")) patterns.push({ matches: glob(key), destination });
    else exact.set(key, destination);
  }
  return (name) => exact.get(name) ?? patterns.find(({ matches }) => matches(name))?.destination;
}

/** Python's `re.match`: from the beginning, not necessarily to the end. */
function startsWith(pattern: RegExp): (name: string) => boolean {
  const sticky = new RegExp(pattern.source, `${pattern.flags.replace(/[gy]/g, "")}y`);
  return (name) => {
    sticky.lastIndex = 0;
    return sticky.test(name);
  };
}

/** Python's `fnmatch`: `*`, `?` and `[…]` only, and dots are like any other character. */
function glob(pattern: string): (name: string) => boolean {
  return picomatch(pattern, {
    bash: true,
    dot: true,
    nobrace: true,
    noextglob: true,
    nonegate: true,
    noglobstar: true,
    strictSlashes: true,
  });
}
