import type { Target } from "./target.ts";
import { controlTargets } from "./targets/control.ts";
import { messageTargets } from "./targets/messages.ts";
import { pickleTargets } from "./targets/pickles.ts";
import { resultTargets } from "./targets/results.ts";
import { signedTargets } from "./targets/signed.ts";
import { streamTargets } from "./targets/streams.ts";

/** All that comes from outside. */
export const TARGETS: readonly Target[] = [
  ...messageTargets,
  ...streamTargets,
  ...pickleTargets,
  ...signedTargets,
  ...controlTargets,
  ...resultTargets,
];
