/**
 * The token bucket of a rate limit as the generic cell rate algorithm (ITU-T I.371, annex A) keeps it: one number, the
 * moment at which the bucket would be full again. This function is the specification of `rate-limit.lua`.
 *
 * @param fullAt when the bucket would be full again, milliseconds
 * @param rate tokens per second
 * @param burst how many may be taken at once after a pause
 * @returns how many are granted, the bucket after that, and when the next token is due
 */
export function takeTokens(
  fullAt: number,
  { rate, burst, wanted }: { rate: number; burst: number; wanted: number },
  now: number,
): { granted: number; fullAt: number; nextAt: number } {
  const intervalMs = 1_000 / rate;
  const toleranceMs = (burst - 1) * intervalMs;
  const before = Math.max(fullAt, now);
  const available = Math.floor((toleranceMs - (before - now)) / intervalMs + 1e-9) + 1;
  const granted = Math.max(0, Math.min(wanted, available));
  const after = before + granted * intervalMs;
  return { granted, fullAt: after, nextAt: after - toleranceMs };
}
