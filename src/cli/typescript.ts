import { register } from "node:module";
import { UsageError } from "./errors.ts";

let registered = false;

/**
 * Makes `.ts` and `.mts` files importable: by Node itself where it strips types, else by a loader of ours.
 * @throws UsageError that says what to install
 */
export async function allowTypeScript(): Promise<void> {
  if (registered || (process.features as { typescript?: unknown }).typescript) return;
  try {
    import.meta.resolve("@swc/wasm-typescript");
    await import("@swc/wasm-typescript");
  } catch {
    throw new UsageError(
      `Node ${process.versions.node} cannot read TypeScript by itself: install @swc/wasm-typescript, or use Node 22.18 or newer`,
    );
  }
  register("./typescript-hooks.js", import.meta.url);
  registered = true;
}
