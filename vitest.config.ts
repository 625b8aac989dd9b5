import { defineConfig } from "vitest/config";
import { patience, WITHIN_MS } from "./packages/testkit/src/wait.ts";

// The servers of a run are started once, on ports and in folders of their own.
const servers = { globalSetup: ["packages/testkit/src/vitest-global-setup.ts"] };

/** Loading the modules again for every file would take a fifth of the time. */
const isolate = false;

/** Longer than several waits of the kit, so that a wait that fails names what it waited for. */
const timeouts = {
  testTimeout: patience(4 * WITHIN_MS),
  hookTimeout: patience(4 * WITHIN_MS),
  expect: { poll: { timeout: patience(WITHIN_MS), interval: 25 } },
};

/** More than the processors of a small machine: these tests wait most of the time. */
const maxWorkers = 4;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{apps,packages,bench,chaos,fuzz,scripts}/**/*.test.ts"],
          testTimeout: patience(WITHIN_MS),
          maxWorkers,
          isolate,
        },
      },
      {
        test: {
          name: "integration",
          include: ["tests/{integration,docs}/**/*.test.ts"],
          maxWorkers,
          isolate,
          ...timeouts,
          ...servers,
        },
      },
      {
        test: {
          name: "model",
          include: ["tests/model/**/*.test.ts"],
          exclude: ["**/*.long.test.ts"],
          maxWorkers,
          isolate,
          ...timeouts,
          ...servers,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["tests/e2e/**/*.test.ts"],
          exclude: ["**/*.long.test.ts"],
          maxWorkers,
          isolate,
          ...timeouts,
          ...servers,
        },
      },
      {
        test: { name: "observability", include: ["tests/observability/**/*.test.ts"], ...timeouts, ...servers },
      },
      {
        test: {
          name: "long",
          include: ["tests/**/*.long.test.ts", "tests/model/**/*.test.ts"],
          env: { POSTRIDER_LONG_RUN: "1" },
          testTimeout: 24 * 3_600_000,
          hookTimeout: timeouts.hookTimeout,
          // Each of them loads the machine by itself.
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
          ...servers,
        },
      },
    ],
  },
});
