import { expect, test } from "vitest";
import { reduceHealth, UNKNOWN_HEALTH, type Health, type HealthEvent } from "./health.ts";

const policy = { threshold: 5, recentSuccessMs: 10_000, cooldownMs: 60_000 };
const NOW = 1_000_000;

const failure = (over: Partial<Extract<HealthEvent, { kind: "failure" }>> = {}): HealthEvent => ({
  kind: "failure",
  sentAgoMs: 5,
  isProbe: false,
  countsForPace: true,
  isWaiting: true,
  lastSuccessAgoMs: 100,
  refused: undefined,
  retryAfterMs: 0,
  ...over,
});

/** Ten answers a second, from `from` on. */
function answers(event: HealthEvent, seconds: number, from: number, health: Health = UNKNOWN_HEALTH): Health {
  let reached = health;
  for (let count = 0; count < 10 * seconds; count += 1) {
    reached = reduceHealth(reached, event, from + count * 100, policy);
  }
  return reached;
}

test("failures under load start a pace, and refused payloads do not: the receiver answers them well", () => {
  expect(answers(failure(), 8, NOW).pace.rate).toBeGreaterThan(0);
  expect(answers(failure({ refused: "d1" }), 8, NOW).pace).toMatchObject({ rate: 0, badIntervals: 0 });
});

test("refused payloads let a pace grow", () => {
  const paced = answers(failure(), 8, NOW);
  expect(answers(failure({ refused: "d1" }), 4, NOW + 8_000, paced).pace.rate).toBeGreaterThan(paced.pace.rate);
});

test("a reset ends a pace and the time in which none may start", () => {
  const paced = answers(failure(), 8, NOW);
  expect(reduceHealth(paced, { kind: "reset" }, NOW + 9_000, policy).pace.rate).toBe(0);
  const immune: Health = { ...UNKNOWN_HEALTH, pace: { ...UNKNOWN_HEALTH.pace, immuneUntil: NOW + 60_000 } };
  expect(reduceHealth(immune, { kind: "reset" }, NOW, policy).pace.immuneUntil).toBe(0);
});
