import { OP } from "../../../../protocol/serialization/pickle/opcodes.ts";
import { pickle } from "../../../../protocol/serialization/pickle.ts";
import { struck } from "../blows.ts";
import type { Random } from "../random.ts";
import { bytesTarget, type Target } from "../target.ts";
import { captured, fromBase64 } from "../vectors.ts";

interface PickleVector {
  protocol: number;
  bytes: string;
}

const values = captured<PickleVector>("pickle-values");
const refused = captured<{ bytes: string }>("pickle-refused").map(({ bytes }) => fromBase64(bytes));
const OPCODES = Object.values(OP);
const WORDS = [
  ...["cbuiltins\nset\n", "cdatetime\ndatetime\n", "cdatetime\ntimedelta\n", "cuuid\nUUID\n", "cdecimal\nDecimal\n"],
  ...["ccollections\nOrderedDict\n", "cbuiltins\nValueError\n", "cposix\nsystem\n", "c_codecs\nencode\n", "__proto__"],
  ...[
    "q\x00",
    "h\x00",
    "\x94",
    "(",
    "t",
    "R",
    "b",
    "\x81",
    "\x93",
    "0",
    "2",
    "]",
    "}",
    "\x8c\x01a",
    "K\x01",
    "(h\x00h\x00l",
  ],
];

/** Steps in any order: they come further than bytes by chance. */
function steps(random: Random): Uint8Array {
  const parts = Array.from({ length: random.below(40) }, () =>
    random.chance(0.5) ? Buffer.from([random.pick(OPCODES)]) : Buffer.from(random.pick(WORDS), "latin1"),
  );
  return Buffer.concat([Buffer.from([0x80, random.below(6)]), ...parts, Buffer.from(".")]);
}

function pickleTarget(protocol: number): Target {
  const small = values
    .filter((vector) => Number(vector.protocol) === protocol)
    .map(({ bytes }) => fromBase64(bytes))
    .filter(({ length }) => length < 2000);
  const all = [...small, ...refused];
  return bytesTarget(
    `pickle-${protocol}`,
    (random) => (random.chance(0.2) ? steps(random) : struck(random.pick(all), all, WORDS, random)),
    (bytes) => [pickle.decode(bytes), pickle.decodeForward?.(bytes)],
  );
}

export const pickleTargets: readonly Target[] = [0, 1, 2, 3, 4, 5].map(pickleTarget);
