const HEX = /^[0-9a-f]{32}$/;

/** A Python `uuid.UUID`; kombu's JSON carries it as its 32 hexadecimal digits. */
export class UUID {
  /** 32 lower-case hexadecimal digits, without dashes. */
  readonly hex: string;

  /**
   * @param text the digits, with or without dashes, braces or `urn:uuid:`, as Python's constructor takes them
   * @throws RangeError when that leaves anything but 32 hexadecimal digits
   */
  constructor(text: string) {
    const hex = text.replace(/^urn:|uuid:|[{}-]/g, "").toLowerCase();
    if (!HEX.test(hex)) throw new RangeError(`badly formed hexadecimal UUID string: ${JSON.stringify(text)}`);
    this.hex = hex;
  }

  toString(): string {
    const h = this.hex;
    return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`;
  }

  equals(other: unknown): boolean {
    return other instanceof UUID && other.hex === this.hex;
  }
}
