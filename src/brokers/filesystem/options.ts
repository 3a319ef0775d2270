import { resolve } from "node:path";
import { ImproperlyConfigured } from "../../app/errors.ts";

/** The folders of kombu's filesystem transport, as absolute paths. */
export interface Folders {
  /** Messages are taken from here… */
  readonly in: string;
  /** …and put there: the same folder, unless two sides are to talk through two. */
  readonly out: string;
  /** Bindings, one file an exchange. */
  readonly control: string;
  /** Where taken messages are kept; undefined when they are not. */
  readonly processed: string | undefined;
}

const DEFAULTS = { data_folder_in: "data_in", data_folder_out: "data_out", control_folder: "control" } as const;

/** @throws ImproperlyConfigured when an option is no folder's name */
export function folders(options: Readonly<Record<string, unknown>>): Folders {
  const folder = (name: string, fallback: string): string => {
    const value = options[name] ?? fallback;
    if (typeof value === "string" && value !== "") return resolve(value);
    throw new ImproperlyConfigured(
      `brokerTransportOptions: ${name} cannot be ${JSON.stringify(value)}: it is a folder`,
    );
  };
  const keeps = options.store_processed === true;
  return {
    in: folder("data_folder_in", DEFAULTS.data_folder_in),
    out: folder("data_folder_out", DEFAULTS.data_folder_out),
    control: folder("control_folder", DEFAULTS.control_folder),
    processed: keeps ? folder("processed_folder", "processed") : undefined,
  };
}
