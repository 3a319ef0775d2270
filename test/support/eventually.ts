/**
 * Asks again and again until the answer is something.
 * @param timeoutMs milliseconds; 10 000 unless given
 * @throws Error when the answer stays empty
 */
export async function eventually<T>(
  ask: () => T | Promise<T>,
  timeoutMs = 10_000,
): Promise<Exclude<Awaited<T>, false | null | undefined>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer as Exclude<Awaited<T>, false | null | undefined>;
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(answer)} after ${timeoutMs} ms: ${ask}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
