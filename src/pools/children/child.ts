/** What a pool says to its child. */
export type ToChild =
  /** The first message: what the child is to work with. */
  | { type: "start"; data: unknown }
  | { type: "run"; job: number; work: unknown }
  | { type: "tell"; job: number; message: unknown }
  /** To a `call`: what came of it, or the error's text. */
  | { type: "answer"; call: number; error: string | null; value: unknown }
  /** Nothing more will come: the child is to clear up and to end. */
  | { type: "exit" };

/** What a child says to its pool. */
export type FromChild =
  | { type: "ready" }
  /** It cannot work with what it was told. */
  | { type: "unfit"; error: { message: string; stack: string } }
  /** `memory`: KiB that the child takes up now. */
  | { type: "done"; job: number; result: unknown; memory: number }
  | { type: "call"; job: number; call: number; ask: unknown };

/** A child that was started. */
export interface Child {
  readonly pid: number;
  send(message: ToChild): void;
  kill(signal: NodeJS.Signals): void;
}

/** Whom a child is reported to. */
export interface ChildEvents {
  onMessage(message: FromChild): void;
  /** Nothing more will come from it. @param status as billiard's `human_status` says it: `signal 9 (SIGKILL)` */
  onExit(status: string): void;
}

/** Starts a child. @param index its place in the pool, from 1 */
export type StartChild = (program: URL, index: number, events: ChildEvents) => Child;
