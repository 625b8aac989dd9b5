import { expect, test } from "vitest";
import type { Figures } from "./figures.ts";
import { POLICY } from "./fleet.ts";
import { deadShare, deliveredShare, runs, type Run } from "./grid.ts";
import { down, flaky, overloaded, type Receiver } from "./receivers.ts";

const DIES_AT = 60_000;
const RETURNS_AT = 180_000;
const COOLDOWN_MS = POLICY.cooldownMs;

const dead = () => down(DIES_AT, Number.POSITIVE_INFINITY);
const neverThere = () => down(0, Number.POSITIVE_INFINITY);
const awayForTwoMinutes = (otherwise: Receiver) => down(DIES_AT, RETURNS_AT, otherwise);

const requestsBetween = ({ requests }: Figures, from: number, until: number): number[] =>
  requests.filter((at) => at >= from && at <= until);

function expectOneProbePerCooldown({ figures: { requests }, workers, seconds, name }: Run, openedAt: number): void {
  // A worker without a failure of its own learns of the opening within a second.
  const late = requests.filter((at) => at > openedAt && at <= openedAt + 1_000);
  expect(late.length, name).toBeLessThanOrEqual(workers);
  const probes = requests.filter((at) => at > openedAt + 1_000);
  const gaps = probes.map((at, index) => at - (probes[index - 1] ?? openedAt));
  expect(Math.min(...gaps), name).toBeGreaterThanOrEqual(COOLDOWN_MS);
  // A probe takes 20 ms, and the release job looks every 100 ms.
  expect(Math.max(...gaps), name).toBeLessThan(COOLDOWN_MS + 1_000);
  expect(requests.at(-1), name).toBeGreaterThan((seconds - 62) * 1_000);
}

test("a receiver that dies is shut within 12 s, after 16 requests per event/s, and then gets one probe per cooldown", () => {
  for (const run of runs([1, 10, 100], dead)) {
    const { rate, figures, name } = run;
    const lastSuccessAt = figures.requests.findLast((at) => at < DIES_AT)!;
    const openedAt = figures.openings[0]!;
    expect(openedAt - lastSuccessAt, name).toBeLessThanOrEqual(12_000);
    const asked = requestsBetween(figures, DIES_AT, openedAt).length;
    // At one event a second the retries of earlier events are most of them.
    expect(asked, name).toBeLessThanOrEqual(rate === 1 ? 35 : 16 * rate);
    expectOneProbePerCooldown(run, openedAt);
    expect(figures.dead, name).toBe(0);
  }
});

test("a receiver that never answered is shut at the fifth failure, and then gets one probe per cooldown", () => {
  for (const run of runs([1, 10, 100], neverThere, { hasSucceeded: false })) {
    const { figures, name } = run;
    const openedAt = figures.openings[0]!;
    // An answer takes 20 ms, and several requests can be sent at once.
    expect(requestsBetween(figures, 0, openedAt - 20.1).length, name).toBeLessThan(POLICY.threshold);
    expect(requestsBetween(figures, 0, openedAt - 19.9).length, name).toBeGreaterThanOrEqual(POLICY.threshold);
    expectOneProbePerCooldown(run, openedAt);
    expect(figures.dead, name).toBe(0);
  }
});

test("a receiver that is down for two minutes loses nothing, and has its backlog within a minute and a half", () => {
  for (const { figures, name } of runs([1, 10, 100], () => awayForTwoMinutes(flaky(0)))) {
    // The next probe comes within a minute.
    expect(figures.releaseEnds.at(-1)! - RETURNS_AT, name).toBeLessThanOrEqual(COOLDOWN_MS + 30_000);
    expect(figures.dead, name).toBe(0);
    expect(figures.events - figures.delivered, name).toBeLessThanOrEqual(10);
    expect(figures.openings, name).toHaveLength(1);
  }
});

test("a receiver that comes back with capacity for 1.3 times its load catches up, with at most 0.5 % dead letters", () => {
  for (const { figures, name } of runs([10, 100], (rate) => awayForTwoMinutes(overloaded(1.3 * rate)))) {
    // Two minutes and a cooldown of backlog take 600 s of the 0.3 that are to spare.
    expect(figures.releaseEnds.at(-1)! - RETURNS_AT, name).toBeLessThanOrEqual(600_000);
    expect(deadShare(figures), name).toBeLessThanOrEqual(0.005);
    expect(deliveredShare(figures), name).toBeGreaterThanOrEqual(0.99);
  }
});

test("a receiver that fails half of its requests after two minutes of absence receives 95 % of its events", () => {
  for (const { figures, name } of runs([10, 100], () => awayForTwoMinutes(flaky(0.5)))) {
    expect(deliveredShare(figures), name).toBeGreaterThanOrEqual(0.95);
  }
});
