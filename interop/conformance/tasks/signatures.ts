import { chain, chord, group, type Signature } from "celeriac";
import { app, task } from "./app.ts";
import { add } from "./arithmetic.ts";

const inner: Record<string, () => Signature> = {
  chain: () => chain([add.s()]),
  group: () => group([add.s()]),
  chord: () => chord([add.s()], add.s()),
};
const outer: Record<string, (sig: Signature) => Signature> = {
  chain: (sig) => chain(sig),
  group: (sig) => group(sig),
  chord: (sig) => chord(sig, add.s()),
};
for (const [name, around] of Object.entries(outer)) {
  for (const [of, make] of Object.entries(inner)) {
    task(`return_nested_signature_${name}_${of}`, () => around(make()));
  }
}

task("rebuild_signature", (sig_dict: object) => {
  // Reading it checks every signature within.
  app.signature(sig_dict);
});
