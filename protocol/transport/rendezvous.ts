/**
 * The server that a key is kept on, of several: the one whose hash with the key is highest. As pymemcache chooses, so
 * that both languages look in the same place. Mirrors `pymemcache/client/rendezvous.py RendezvousHash.get_node`.
 *
 * @param nodes `host:port` each
 * @param key ASCII
 */
export function rendezvousNode(nodes: readonly string[], key: string): string | undefined {
  let winner: string | undefined;
  let highest = -1;
  for (const node of nodes) {
    const score = murmur3(`${node}-${key}`);
    if (score > highest || (score === highest && winner !== undefined && node > winner)) {
      highest = score;
      winner = node;
    }
  }
  return winner;
}

/** MurmurHash3, its variant of 32 bits, of ASCII text, with the seed 0. */
export function murmur3(text: string): number {
  const bytes = Uint8Array.from(text, (sign) => sign.charCodeAt(0));
  const whole = bytes.length & ~3;
  let hash = 0;
  for (let at = 0; at < whole; at += 4) {
    const block =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    hash ^= scrambled(block);
    hash = (Math.imul(rotated(hash, 13), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let at = bytes.length - 1; at >= whole; at--) tail = (tail << 8) | (bytes[at] as number);
  if (whole < bytes.length) hash ^= scrambled(tail);
  hash ^= bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scrambled(block: number): number {
  return Math.imul(rotated(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593);
}

function rotated(bits: number, by: number): number {
  return (bits << by) | (bits >>> (32 - by));
}
