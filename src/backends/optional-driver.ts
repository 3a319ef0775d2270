import { ImproperlyConfigured } from "../app/errors.ts";

/**
 * A driver that applications install themselves.
 * @throws ImproperlyConfigured that says what to install
 */
export async function optionalDriver<T>(load: () => Promise<T>, scheme: string, install: string): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new ImproperlyConfigured(`${scheme}:// needs a driver that is not installed: ${install}`, { cause });
  }
}
