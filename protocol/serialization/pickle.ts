import { DecodeError, EncodeError } from "../errors.ts";
import { Machine, type Unpickling } from "./pickle/machine.ts";
import { OP } from "./pickle/opcodes.ts";
import { OPERATIONS } from "./pickle/operations.ts";
import { settle } from "./pickle/settle.ts";
import { PickleWriter, type WrittenProtocol } from "./pickle/writer.ts";
import type { Serializer } from "./serializer.ts";

/** How pickles are read. */
export interface PickleOptions {
  /**
   * Exception classes of one's own, `shop.errors.OutOfStock`, that are read as {@link ExceptionValue}s. None unless
   * given: Python's own exceptions and Celery's are known.
   */
  exceptions?: Iterable<string>;
  /** The protocol that is written: 4 unless given, which Python reads from 3.4 on. */
  protocol?: WrittenProtocol;
}

/**
 * `application/x-python-serialize`, protocols 0 to 5 read and 4 written, or 2. Mirrors `kombu/serialization.py
 * register_pickle`.
 *
 * Nothing in a pickle is executed. It may name the classes of a closed list (datetimes, Decimal, UUID, sets, bytes,
 * OrderedDict, exceptions, Celery's signatures), which become values of this package; any other name is a
 * DecodeError that tells it.
 */
export function pickleSerializer(options: PickleOptions = {}): Serializer {
  const exceptions: ReadonlySet<string> = new Set(options.exceptions ?? []);
  return {
    name: "pickle",
    contentType: "application/x-python-serialize",
    contentEncoding: "binary",
    encode: (value) => pickleDumps(value, options.protocol),
    decode: (body) => unpickle(body, { exceptions, forward: false }),
    decodeForward: (body) => unpickle(body, { exceptions, forward: true }),
  };
}

/** {@link pickleSerializer} without exceptions of one's own. */
export const pickle: Serializer = pickleSerializer();

/**
 * One value as a pickle, which Python's `pickle.loads` reads.
 * @throws EncodeError for a value with no form in Python, a cycle, or nesting beyond 500 levels
 */
export function pickleDumps(value: unknown, protocol: WrittenProtocol = 4): Uint8Array {
  try {
    return new PickleWriter(protocol).write(value);
  } catch (error) {
    if (error instanceof EncodeError) throw error;
    throw new EncodeError(`cannot be pickled: ${(error as Error).message}`, { cause: error });
  }
}

/** True for bytes that begin as every pickle of protocol 2 to 5 does; a msgpack map of nothing is one byte shorter. */
export function isPickle(bytes: Uint8Array): boolean {
  return bytes[0] === OP.PROTO && (bytes[1] ?? 0) >= 2 && (bytes[1] ?? 0) <= 5;
}

/**
 * The value of a pickle, within the bounds that hold for all content.
 * @throws DecodeError when it is none, or holds what is not read
 */
export function unpickle(body: Uint8Array, options: Unpickling): unknown {
  try {
    const machine = new Machine(body, options);
    while (!machine.result) {
      const opcode = machine.input.byte();
      const operation = OPERATIONS.get(opcode);
      if (!operation) throw new DecodeError(`invalid load key, 0x${opcode.toString(16).padStart(2, "0")}`);
      operation(machine);
    }
    return settle(machine.result.value, body.length);
  } catch (error) {
    if (error instanceof DecodeError) throw error;
    throw new DecodeError(`cannot be unpickled: ${(error as Error).message}`, { cause: error });
  }
}
