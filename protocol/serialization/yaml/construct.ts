import { isAlias, isMap, isScalar, isSeq, type ParsedNode, type YAMLMap } from "yaml";
import { DecodeError } from "../../errors.ts";
import { tuple } from "../../python/collections.ts";
import { Float, isPythonInt } from "../../python/numbers.ts";
import { Expansion } from "../expansion.ts";
import { setOwn } from "../own-key.ts";
import type { Composed } from "./compose.ts";
import { implicitTag, readBinary, readBoolean, readFloat, readInteger, readTimestamp, YAML_TAG } from "./scalars.ts";

type Entry = readonly [key: unknown, value: unknown];

/**
 * Turns the nodes of a document into values, by the tags that PyYAML's safe loader knows and no others.
 * Mirrors `yaml/constructor.py SafeConstructor`.
 */
export class Constructor {
  readonly #targets: Composed["targets"];
  readonly #forward: boolean;
  readonly #expansion: Expansion;
  /** Mappings that are being merged into others at the moment. */
  readonly #merging = new Set<object>();

  /**
   * @param size characters of the text
   * @param forward keeps `1.0` apart from `1`: see `Serializer.decodeForward`
   */
  constructor(targets: Composed["targets"], size: number, forward: boolean) {
    this.#targets = targets;
    this.#forward = forward;
    this.#expansion = new Expansion(size);
  }

  /** @throws DecodeError for a tag that is not known, a value that is not what its tag says, or a node that holds itself */
  construct(given: unknown): unknown {
    const node = this.#target(given);
    if (node === null) return null;
    return this.#expansion.container(node, () => this.#node(node));
  }

  #target(node: unknown): ParsedNode | null {
    if (node === null || node === undefined) return null;
    return isAlias(node) ? (this.#targets.get(node) ?? null) : (node as ParsedNode);
  }

  #node(node: ParsedNode): unknown {
    if (isScalar(node)) return this.#scalar(node.source, tagOf(node));
    const tag = tagOf(node);
    if (isMap(node)) {
      if (tag === `${YAML_TAG}map`) return mapping(this.#entries(node));
      if (tag === `${YAML_TAG}set`) return new Set(this.#entries(node).map(([key]) => key));
    }
    if (isSeq(node)) {
      if (tag === `${YAML_TAG}seq`) return node.items.map((item) => this.construct(item));
      if (tag === `${YAML_TAG}omap` || tag === `${YAML_TAG}pairs`) return node.items.map((item) => this.#pair(item));
    }
    throw new DecodeError(`could not determine a constructor for the tag ${JSON.stringify(tag)} here`);
  }

  #scalar(text: string, tag: string): unknown {
    switch (tag.startsWith(YAML_TAG) ? tag.slice(YAML_TAG.length) : "") {
      case "str":
        return text;
      case "null":
        return null;
      case "bool":
        return readBoolean(text);
      case "int":
        return readInteger(text);
      case "float":
        return this.#float(readFloat(text));
      case "timestamp":
        return readTimestamp(text);
      case "binary":
        return readBinary(text);
      default:
        throw new DecodeError(`could not determine a constructor for the tag ${JSON.stringify(tag)}`);
    }
  }

  #float(value: number): number | Float {
    return this.#forward && isPythonInt(value) ? new Float(value) : value;
  }

  /** What is merged in by `<<` first, then what the mapping itself has. */
  #entries(map: YAMLMap): Entry[] {
    const merged: Entry[] = [];
    const own: Entry[] = [];
    for (const { key, value } of map.items) {
      const name = this.#target(key);
      if (isScalar(name) && tagOf(name) === `${YAML_TAG}merge`) merged.push(...this.#merge(value));
      else own.push([this.#key(name), this.construct(value)]);
    }
    return merged.length > 0 ? [...merged, ...own] : own;
  }

  /** The first mapping of a list wins over those behind it. */
  #merge(value: unknown): Entry[] {
    const node = this.#target(value);
    if (isMap(node)) return this.#merged(node);
    if (isSeq(node)) {
      const maps = node.items.map((item) => this.#target(item)).filter((item) => isMap(item));
      if (maps.length === node.items.length) return maps.reverse().flatMap((map) => this.#merged(map));
    }
    throw new DecodeError("expected a mapping or list of mappings for merging");
  }

  /** Counted as often as it is merged: merges within merges multiply. */
  #merged(map: YAMLMap): Entry[] {
    if (this.#merging.has(map)) throw new DecodeError("the value holds itself");
    this.#merging.add(map);
    this.#expansion.leaf();
    const entries = this.#entries(map);
    for (const _ of entries) this.#expansion.leaf();
    this.#merging.delete(map);
    return entries;
  }

  #key(node: ParsedNode | null): unknown {
    // A lone `=` means nothing but itself as a key.
    const isValue = isScalar(node) && tagOf(node) === `${YAML_TAG}value`;
    const key = isValue ? node.source : this.construct(node);
    if (isContainer(key)) throw new DecodeError("found unhashable key");
    return key;
  }

  #pair(item: unknown): unknown {
    const map = this.#target(item);
    const [only, more] = isMap(map) ? map.items : [];
    if (!only || more) throw new DecodeError("expected a mapping of length 1 in an ordered map");
    return tuple([this.construct(only.key), this.construct(only.value)]);
  }
}

/** The tag `!` alone leaves it to the text, as no tag does for an unquoted scalar. */
function tagOf(node: ParsedNode): string {
  const given = node.tag === "!" ? undefined : node.tag;
  if (given) return given;
  if (isMap(node)) return `${YAML_TAG}map`;
  if (isSeq(node)) return `${YAML_TAG}seq`;
  const isImplicit = isScalar(node) && (node.type === "PLAIN" || node.tag === "!");
  return isImplicit ? implicitTag(node.source) : `${YAML_TAG}str`;
}

/** An object where every key is text, else a `Map`. The last of equal keys wins. */
function mapping(entries: readonly Entry[]): unknown {
  if (!entries.every(([key]) => typeof key === "string")) return new Map(entries);
  const object: Record<string, unknown> = {};
  for (const [key, value] of entries) setOwn(object, key as string, value);
  return object;
}

/** What Python cannot hash. */
function isContainer(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value) || value instanceof Map || value instanceof Set) return true;
  return Object.getPrototypeOf(value) === Object.prototype;
}
