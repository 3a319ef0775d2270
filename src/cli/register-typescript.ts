import { allowTypeScript } from "./typescript.ts";

/** `node --import` this to run TypeScript where Node does not strip types by itself. */
await allowTypeScript();
