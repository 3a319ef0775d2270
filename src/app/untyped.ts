/**
 * A value that another language made, where the caller gave no type for it. `any`, not `unknown`, so that
 * `const sum: number = await result.get()` compiles, as a caller of Python expects.
 */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Untyped = any;
