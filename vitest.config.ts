import { defineConfig } from "vitest/config";

// Three projects by what a test needs: nothing (unit), Postgres and Redis (integration), or the real processes (e2e).
// The servers are started once per run by packages/testkit/src/vitest-global-setup.ts, on ports and in a folder of their own.
const servers = { globalSetup: ["packages/testkit/src/vitest-global-setup.ts"] };

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["{apps,packages,bench}/**/*.test.ts"] } },
      {
        test: {
          name: "integration",
          include: ["tests/integration/**/*.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          ...servers,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["tests/e2e/**/*.test.ts"],
          testTimeout: 90_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          ...servers,
        },
      },
      {
        test: {
          name: "observability",
          include: ["tests/observability/**/*.test.ts"],
          testTimeout: 90_000,
          hookTimeout: 120_000,
          ...servers,
        },
      },
      {
        test: {
          name: "chaos",
          include: ["tests/chaos/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
          // After everything else: it fills the machine by itself.
          sequence: { groupOrder: 1 },
          ...servers,
        },
      },
    ],
  },
});
