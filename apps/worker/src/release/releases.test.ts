import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Releases } from "./releases.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

const setUp = () => new Releases({} as never, 10);
const ids = (count: number) => Array.from({ length: count }, (_, index) => `delivery-${index}`);

test("a release that yields goes on with its rate and its deliveries, which count meanwhile", () => {
  const releases = setUp();
  const run = releases.start("a");
  const before = releases.roomFor(releases.start("b"));
  run.rate = 64;
  for (const id of ids(400)) run.released.add(id);
  releases.leave("a");
  expect(releases.running).toBe(1);
  expect(releases.roomFor(releases.start("b"))).toBe(before - 200);
  vi.advanceTimersByTime(30_000);
  expect(releases.start("a")).toMatchObject({ rate: 64, released: new Set(ids(400)), startedAt: performance.now() });
});

test("a release that ends, or does not come back, is forgotten", () => {
  const releases = setUp();
  for (const end of [() => releases.end("a"), () => vi.advanceTimersByTime(121_000)]) {
    releases.start("a").rate = 64;
    releases.leave("a");
    end();
    expect(releases.start("a").rate).toBe(4);
    releases.end("a");
  }
});
