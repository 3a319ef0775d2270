import { EventReceiver, type ReceiverContext, type ReceiverOptions } from "./receiver.ts";
import { State, type StateOptions } from "./state.ts";

/** What can be learned of a cluster by listening: `app.events`. Mirrors `celery/app/events.py`. */
export class Events {
  readonly #context: ReceiverContext;

  constructor(context: ReceiverContext) {
    this.#context = context;
  }

  /** A receiver, to be started. */
  receiver(options: ReceiverOptions): EventReceiver {
    return new EventReceiver(this.#context, options);
  }

  /** A state that knows nothing yet; its `event` is a handler for a receiver. */
  state(options: StateOptions = {}): State {
    return new State(options);
  }
}
