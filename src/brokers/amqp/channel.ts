import type { Channel, ChannelModel } from "amqplib";

/** A channel, and why it was closed when it is. */
export interface OpenChannel<C extends Channel> {
  readonly channel: C;
  /** Settles when it is closed: with the broker's reason, or with none when it went with its connection. */
  readonly closed: Promise<Error | undefined>;
}

/** Opens a channel whose errors go nowhere but into {@link OpenChannel.closed}. */
export async function openChannel(model: ChannelModel): Promise<OpenChannel<Channel>> {
  return watched(await model.createChannel());
}

/** @see openChannel */
export async function openConfirmChannel(
  model: ChannelModel,
): Promise<OpenChannel<Awaited<ReturnType<ChannelModel["createConfirmChannel"]>>>> {
  return watched(await model.createConfirmChannel());
}

function watched<C extends Channel>(channel: C): OpenChannel<C> {
  let reason: Error | undefined;
  // Without a listener, the driver's errors would end the process.
  channel.on("error", (error) => {
    reason = error;
  });
  const closed = new Promise<Error | undefined>((resolve) => channel.on("close", () => resolve(reason)));
  return { channel, closed };
}
