/** Text without NUL, which PostgreSQL has no place for. */
export function storable(text: string | null | undefined): string | null {
  return text?.replaceAll("\0", "\uFFFD") ?? null;
}

/** What is only there to be looked at is rather cut short than the result lost. @param length in characters */
export function fitting(text: string | null | undefined, length: number): string | null {
  return storable(text)?.slice(0, length) ?? null;
}
