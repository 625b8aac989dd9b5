import { afterEach, expect, test, vi } from "vitest";
import { isSkipped } from "./must-run.ts";
import { skipBecause } from "./vitest.ts";

afterEach(() => vi.unstubAllEnvs());

test("tests that can't run here are skipped", () => {
  vi.stubEnv("POSTRIDER_TESTS_MUST_RUN", "");
  expect([undefined, "", "there is no nginx"].map(isSkipped)).toEqual([false, false, true]);
});

test("tests that must run fail with the reason", (context) => {
  vi.stubEnv("POSTRIDER_TESTS_MUST_RUN", "1");
  expect(isSkipped("")).toBe(false);
  const refusal = "POSTRIDER_TESTS_MUST_RUN is set, but there is no nginx";
  expect(() => isSkipped("there is no nginx")).toThrow(refusal);
  expect(() => skipBecause(context, "there is no nginx")).toThrow(refusal);
});
