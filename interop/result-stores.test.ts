import { afterAll, beforeAll, describe, inject } from "vitest";
import { exerciseResults } from "./exercise/results.ts";
import { type ResultStore, resultStoreKinds } from "./result-stores.ts";

for (const kind of resultStoreKinds()) {
  const lacks = inject("python") ? kind.lacks : "Python 3";
  describe.skipIf(lacks)(`results in ${kind.name}${lacks ? ` (needs ${lacks})` : ""}`, () => {
    let store: ResultStore;

    beforeAll(async () => {
      store = await kind.start();
    });

    afterAll(() => store?.stop());

    exerciseResults(kind, () => store);
  });
}
