import { OperationalError } from "../app/errors.ts";
import type { Settings } from "../app/settings.ts";
import type { Broker } from "../brokers/broker.ts";
import type { Logger } from "../logger.ts";

/** The longest pause between two attempts to connect, in seconds. */
const LONGEST_PAUSE = 32;

/**
 * Connects to a broker that may not be there yet: again and again, with growing pauses, as often as the settings allow.
 * @param stop ends the pauses
 * @throws OperationalError when the broker stays away, or when it is told to stop
 */
export async function connectPatiently(
  broker: Broker,
  settings: Settings,
  log: Logger,
  stop: AbortSignal,
): Promise<void> {
  const retry = settings.brokerConnectionRetryOnStartup ?? settings.brokerConnectionRetry;
  const most = settings.brokerConnectionMaxRetries || Number.POSITIVE_INFINITY;
  for (let attempt = 1; ; attempt++) {
    try {
      return await broker.connect(stop);
    } catch (error) {
      if (!(error instanceof OperationalError) || !retry || attempt > most || stop.aborted) throw error;
      const seconds = Math.min(LONGEST_PAUSE, 2 * attempt);
      const count = most === Number.POSITIVE_INFINITY ? "" : ` (${attempt}/${most})`;
      log.error({}, `consumer: ${error.message}. Trying again in ${seconds.toFixed(2)} seconds...${count}`);
      await pause(seconds, stop);
    }
  }
}

function pause(seconds: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      clearTimeout(timer);
      stop.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, seconds * 1000);
    stop.addEventListener("abort", over);
  });
}
