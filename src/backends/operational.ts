import { CeleryError, OperationalError } from "../app/errors.ts";

/**
 * Calls a store, whose own errors become OperationalErrors that say where it is.
 * @param url masked
 * @throws CeleryError as it came; OperationalError for anything else
 */
export async function operational<T>(url: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof CeleryError) throw error;
    throw new OperationalError(`${url}: ${(error as Error).message}`, { cause: error });
  }
}
