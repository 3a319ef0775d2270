import { SerializerNotInstalled } from "../app/errors.ts";

/**
 * Loads a package that only those install who need it.
 *
 * @param what the name of what needs it, as the settings have it
 * @throws SerializerNotInstalled that says what to install
 */
export async function optionalPackage<T>(name: string, what: string): Promise<T> {
  try {
    const loaded = await import(name);
    return loaded.default ?? loaded;
  } catch (cause) {
    throw new SerializerNotInstalled(`The compression ${what} needs the package ${name}: npm install ${name}`, {
      cause,
    });
  }
}
