/** Exceptions that are read from a pickle, by module: Python's own, and those that Celery stores and sends. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  builtins: `ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError
    BrokenPipeError BufferError BytesWarning ChildProcessError ConnectionAbortedError ConnectionError
    ConnectionRefusedError ConnectionResetError DeprecationWarning EOFError EncodingWarning Exception ExceptionGroup
    FileExistsError FileNotFoundError FloatingPointError FutureWarning GeneratorExit ImportError ImportWarning
    IndentationError IndexError InterruptedError IsADirectoryError KeyError KeyboardInterrupt LookupError MemoryError
    ModuleNotFoundError NameError NotADirectoryError NotImplementedError OSError OverflowError
    PendingDeprecationWarning PermissionError ProcessLookupError RecursionError ReferenceError ResourceWarning
    RuntimeError RuntimeWarning StopAsyncIteration StopIteration SyntaxError SyntaxWarning SystemError SystemExit
    TabError TimeoutError TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError
    UnicodeTranslateError UnicodeWarning UserWarning ValueError Warning ZeroDivisionError`,
  "celery.exceptions": `AlreadyRegistered BackendError BackendGetMetaError BackendStoreError CeleryError ChordError
    Ignore ImproperlyConfigured IncompleteStream InvalidTaskError MaxRetriesExceededError NotRegistered QueueNotFound
    Reject Retry SecurityError TaskError TaskPredicate TaskRevokedError TimeoutError WorkerShutdown WorkerTerminate`,
  "kombu.exceptions": `ChannelLimitExceeded ConnectionLimitExceeded ContentDisallowed DecodeError EncodeError
    InconsistencyError KombuError LimitExceeded MessageStateError NotBoundError OperationalError SerializationError
    SerializerNotInstalled VersionMismatch`,
  "billiard.exceptions": `AuthenticationError BufferTooShort ProcessError RestartFreqExceeded SoftTimeLimitExceeded
    Terminated TimeLimitExceeded TimeoutError WorkerLostError`,
  decimal: "DecimalException DivisionByZero InvalidOperation",
  "json.decoder": "JSONDecodeError",
};

/** `module.Name` of each. */
export const KNOWN_EXCEPTIONS: ReadonlySet<string> = new Set(
  Object.entries(EXCEPTIONS).flatMap(([module, names]) => names.split(/\s+/).map((name) => `${module}.${name}`)),
);
