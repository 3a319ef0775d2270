import { Composer, type CST, type Document, isAlias, isCollection, isPair, type ParsedNode, Parser } from "yaml";
import { DecodeError } from "../../errors.ts";

/** Deeper documents are refused before anything recursive sees them. */
const MAX_DEPTH = 500;

/** Nothing is resolved by the library: what a scalar is, and which tags there are, is PyYAML's to say. */
const OPTIONS = {
  version: "1.1",
  schema: "failsafe",
  resolveKnownTags: false,
  merge: false,
  uniqueKeys: false,
  prettyErrors: false,
  logLevel: "silent",
} as const;

/** A document's nodes, and what its aliases stand for. */
export interface Composed {
  /** Null for an empty document. */
  root: ParsedNode | null;
  targets: ReadonlyMap<object, ParsedNode>;
}

/**
 * The nodes of a single YAML document. Mirrors `yaml/composer.py get_single_node`.
 * @throws DecodeError when the text is no YAML, or more than one document
 */
export function compose(text: string): Composed {
  const tokens = [...new Parser().parse(text)];
  checkDepth(tokens);
  const documents = [...new Composer(OPTIONS).compose(tokens)];
  for (const { errors } of documents) {
    const [error] = errors;
    if (error) throw new DecodeError(`not YAML, at character ${error.pos[0]}: ${error.message}`, { cause: error });
  }
  if (documents.length > 1) throw new DecodeError("expected a single document in the stream");
  const root = (documents[0] as Document.Parsed | undefined)?.contents ?? null;
  return { root, targets: aliasTargets(root) };
}

/** The library composes by recursion, and ends the process, not the call, where the stack ends within it. */
function checkDepth(tokens: readonly CST.Token[]): void {
  let level: (CST.Token | null | undefined)[] = [...tokens];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) throw new DecodeError("the YAML is nested too deeply");
    level = level.flatMap(children);
  }
}

function children(token: CST.Token | null | undefined): (CST.Token | null | undefined)[] {
  if (!token) return [];
  if (token.type === "document") return [token.value];
  if (!("items" in token)) return [];
  return token.items.flatMap((item) => [item.key, item.value]).filter((child) => child !== null && child !== undefined);
}

/** An alias stands for the node that had its anchor before it. @throws DecodeError for an anchor that none or two have */
function aliasTargets(root: ParsedNode | null): Map<object, ParsedNode> {
  const anchors = new Map<string, ParsedNode>();
  const targets = new Map<object, ParsedNode>();
  const visit = (node: unknown): void => {
    if (isPair(node)) {
      visit(node.key);
      visit(node.value);
    } else if (isAlias(node)) {
      const target = anchors.get(node.source);
      if (!target) throw new DecodeError(`found undefined alias ${JSON.stringify(node.source)}`);
      targets.set(node, target);
    } else if (node !== null && typeof node === "object") {
      const { anchor } = node as ParsedNode & { anchor?: string };
      if (anchor && anchors.has(anchor)) throw new DecodeError(`found duplicate anchor ${JSON.stringify(anchor)}`);
      if (anchor) anchors.set(anchor, node as ParsedNode);
      if (isCollection(node)) for (const item of node.items) visit(item);
    }
  };
  visit(root);
  return targets;
}
