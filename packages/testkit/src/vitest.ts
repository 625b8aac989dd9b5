// The kit's hooks for Vitest. Nothing else in it imports Vitest, so that benchmarks, chaos runs and the demo can use
// the rest.
import { afterAll, beforeAll, beforeEach, inject, test, type TestContext } from "vitest";
import { PollingClient } from "./client/polling-client.ts";
import { isSkipped } from "./must-run.ts";
import type { Env } from "./processes/managed-process.ts";
import { killAllProcesses } from "./processes/registry.ts";
import { type Receiver, startReceiver } from "./receiver/receiver.ts";
import { createDatabase, type TestDatabase } from "./servers/database.ts";
import { claimRedis, type TestRedis } from "./servers/redis.ts";
import { localSettings, SHORT_TIMES } from "./stack/settings.ts";
import { lastLogs } from "./stack/shared-stack.ts";
import { Stack } from "./stack/stack.ts";
import { createWorld, type World } from "./world/world.ts";

const testServers = () => ({ postgresUrl: inject("postgresUrl"), redisUrl: inject("redisUrl") });

/** A test with servers of its own, which it stops or replaces. Skipped where none can be started. */
export const testWithOwnServers = test.skipIf(isSkipped(inject("noOwnServers")));

/**
 * Skips the running test. The reason is printed, because a test that nobody misses would stay skipped.
 *
 * @throws Error with the reason if all tests must run
 */
export function skipBecause({ skip, task }: Pick<TestContext, "skip" | "task">, reason: string): never {
  isSkipped(reason);
  process.stderr.write(`skipped "${task.name}": ${reason}\n`);
  return skip(reason);
}

export const createTestDatabase = (): Promise<TestDatabase> => createDatabase(testServers().postgresUrl);

export const claimTestRedis = (): Promise<TestRedis> => claimRedis(testServers().redisUrl);

export const createTestWorld = (over?: Record<string, string>): Promise<World> => createWorld(testServers(), over);

export interface Used {
  api: PollingClient;
  receiver: Receiver;
}

export interface UsedShared extends Used {
  redisUrl: string;
}

/**
 * The stack that all files of the project share, and a receiver for this file. When a test fails, its logs are shown.
 */
export function useSharedStack(): UsedShared {
  const { apiUrl, apiKey, redisUrl, logFolder } = inject("sharedStack");
  const used = { api: new PollingClient(apiUrl, apiKey), redisUrl } as UsedShared;
  beforeAll(async () => {
    used.receiver = await startReceiver();
  });
  beforeEach(({ onTestFailed }) => {
    onTestFailed(() => console.error(lastLogs(logFolder)));
  });
  afterAll(() => used.receiver?.close());
  return used;
}

export interface TestStackOptions {
  workers?: number;
  console?: boolean;
  /** For every process, over the short times. */
  env?: Env;
}

export interface UsedStack extends Used {
  stack: Stack;
}

/**
 * A stack and a receiver for the tests of this file, on a database and a Redis of their own: for tests that stop or
 * configure processes. When a test fails, the processes' last lines are shown.
 */
export function useStack({ workers = 1, console: hasConsole = false, env = {} }: TestStackOptions = {}): UsedStack {
  const used = {} as UsedStack;
  let database: TestDatabase | undefined;
  let redis: TestRedis | undefined;
  beforeAll(async () => {
    [database, redis, used.receiver] = await Promise.all([createTestDatabase(), claimTestRedis(), startReceiver()]);
    const stack = await Stack.prepare({ env: { ...localSettings(database.url, redis.url), ...SHORT_TIMES, ...env } });
    Object.assign(used, { stack, api: stack.api });
    await Promise.all([
      stack.startIngest(),
      stack.startWorkers(workers),
      hasConsole ? stack.startConsole() : undefined,
    ]);
  });
  beforeEach(({ onTestFailed }) => {
    onTestFailed(() => console.error(used.stack.output()));
  });
  afterAll(async () => {
    const { stack, receiver } = used as Partial<UsedStack>;
    // First, because a worker that stops waits for the responses to its requests.
    await receiver?.close();
    const output = stack?.output() ?? "";
    const troubles = (await stack?.stop()) ?? [];
    killAllProcesses();
    const undone = await Promise.allSettled([database?.drop(), redis?.release()]);
    for (const one of undone) if (one.status === "rejected") troubles.push(String(one.reason));
    if (troubles.length > 0) throw new Error(`${troubles.join("\n")}\n${output}`);
  });
  return used;
}
