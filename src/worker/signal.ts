import { constants } from "node:os";

/** A signal by its name, with or without `SIG`, in any case; SIGTERM for what is none. */
export function signalName(name: string): NodeJS.Signals {
  const upper = name.toUpperCase();
  const full = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  return full in constants.signals ? (full as NodeJS.Signals) : "SIGTERM";
}

/** A signal's number, as events tell it: `SIGTERM` and `TERM` are 15. Mirrors `celery/platforms.py Signals.signum`. */
export function signum(name: string): number {
  return constants.signals[signalName(name)];
}
