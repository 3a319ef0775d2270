/** The base of every error this package throws on purpose. */
export class CeleryError extends Error {
  /** The class that Python's side knows this error as, `module.Name`. */
  static readonly pythonName: string = "celery.exceptions.CeleryError";
  /** A stable name for programs: `ERR_` and the class's name in capitals. */
  readonly code: string;

  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = `ERR_${new.target.name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase()}`;
  }
}

/** A value that the serializer in use cannot write. */
export class EncodeError extends CeleryError {
  static override readonly pythonName = "kombu.exceptions.EncodeError";
}

/** Bytes that are not what their content type or encoding says. */
export class DecodeError extends CeleryError {
  static override readonly pythonName = "kombu.exceptions.DecodeError";
}

/** Compressed content that comes to more than `inflatedSizeLimit` bytes: a few hundred may stand for gigabytes. */
export class InflatedSizeExceeded extends DecodeError {
  static override readonly pythonName = "kombu.exceptions.DecodeError";
  /** Bytes. */
  readonly limit: number;

  constructor(limit: number, options?: ErrorOptions) {
    super(`the content inflates to more than ${limit} bytes, the setting inflatedSizeLimit`, options);
    this.limit = limit;
  }
}

/** Content of a type that `acceptContent` does not list. */
export class ContentDisallowed extends CeleryError {
  static override readonly pythonName = "kombu.exceptions.ContentDisallowed";
}

/** A serializer or compression method that nobody registered. */
export class SerializerNotInstalled extends CeleryError {
  static override readonly pythonName = "kombu.exceptions.SerializerNotInstalled";
}

/** Content that was not signed by anybody who may, or keys and certificates that cannot be used. */
export class SecurityError extends CeleryError {
  static override readonly pythonName = "celery.exceptions.SecurityError";
}

/** A message that says it is a task and is not made like one. */
export class InvalidTaskError extends CeleryError {
  static override readonly pythonName = "celery.exceptions.InvalidTaskError";
}

/** A setting, URL or option that cannot be used; the message says what is allowed. */
export class ImproperlyConfigured extends CeleryError {
  static override readonly pythonName = "celery.exceptions.ImproperlyConfigured";
}
