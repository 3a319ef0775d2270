import { chain, group, type Signature } from "celeriac";
import { app, bound, named, task } from "./app.ts";
import { add, identity, tsum } from "./arithmetic.ts";
import { fail, raiseError } from "./errors.ts";
import { redis, redisEcho } from "./redis.ts";

bound("add_replaced", (self, x: number, y: number) => {
  throw self.replace(add.s(x, y));
});

bound("record_replaced_task_nesting", (self, replacements: number, nesting: number[] | null = null) => {
  const path = [...(nesting ?? []), self.request.replacedTaskNesting];
  if (!replacements) return path;
  const { replyTo } = self.request;
  const next = app.signature(named("record_replaced_task_nesting"), [replacements - 1, path]);
  throw self.replace(replyTo === null ? next : next.set({ replyTo }));
});

bound("add_replaced_with_chain", (self, x: number, y: number) => {
  throw self.replace(chain(add.s(x, y), identity.s()));
});

const withLink = { parameters: ["*args", "link_msg"] };

function echo(message: unknown): Signature {
  return message === null ? redisEcho.s() : redisEcho.si(message);
}

bound(
  "replace_with_chain",
  (self, args: unknown[], link_msg: unknown = null) => {
    throw self.replace(chain(identity.s(...args), identity.s()).link(echo(link_msg)));
  },
  withLink,
);

bound(
  "replace_with_chain_which_raises",
  (self, args: unknown[], link_msg: unknown = null) => {
    throw self.replace(chain(identity.s(...args), raiseError.s()).onError(echo(link_msg)));
  },
  withLink,
);

bound(
  "replace_with_empty_chain",
  (self) => {
    throw self.replace(chain());
  },
  { parameters: ["*_"] },
);

bound("replace_with_chain_which_contains_a_group", (self) => {
  throw self.replace(chain(add.s(1, 2), group(add.s(1), add.s(1))));
});

bound("add_to_all", (self, nums: number[], val: number) => {
  throw self.replace(group(nums.map((num) => add.s(num, val))));
});

bound("add_to_all_to_chord", async (self, nums: number[], val: number) => {
  for (const num of nums) await self.addToChord(add.s(num, val));
  return 0;
});

bound("add_chord_to_chord", async (self, nums: number[], val: number) => {
  await self.addToChord(group(nums.map((num) => add.s(num, val))).pipe(tsum.s()));
  return 0;
});

bound(
  "fail_replaced",
  (self, args: unknown[]) => {
    throw self.replace(fail.si(...args));
  },
  { parameters: ["*args"] },
);

bound("second_order_replace1", async (self, state = false) => {
  await redis.rpush("redis-echo", state ? "Out A" : "In A");
  if (!state) throw self.replace(chain(secondOrderReplace2.s(), secondOrderReplace1.si(true)));
});

bound("second_order_replace2", async (self, state = false) => {
  await redis.rpush("redis-echo", state ? "Out B" : "In B");
  if (!state) throw self.replace(chain(redisEcho.s("In/Out C"), secondOrderReplace2.si(true)));
});

const secondOrderReplace1 = app.remote(named("second_order_replace1"));
const secondOrderReplace2 = app.remote(named("second_order_replace2"));

const replacedWithMe = task("replaced_with_me", () => true);
bound("replace_with_stamped_task", (self, replace_with: object | null = null) => {
  const sig = replace_with === null ? replacedWithMe.s() : app.signature(replace_with);
  throw self.replace(sig.stamp({ StampOnReplace: "This is the replaced task" }));
});

bound("build_chain_inside_task", async () => {
  return chain(add.s(1, 1), add.s(2), group(add.s(3), add.s(4)), add.s(5)).applyAsync();
});
