import type { TestProject } from "vitest/node";
import { startTestServers, type TestServers } from "./servers/test-servers.ts";
import { type SharedStack, startSharedStack } from "./stack/shared-stack.ts";

declare module "vitest" {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- only an interface can be extended
  export interface ProvidedContext {
    postgresUrl: string;
    redisUrl: string;
    noOwnServers: string;
    sharedStack: SharedStack;
  }
}

/**
 * Vitest loads this file once per project, in one process: the projects share the servers through the global object.
 */
interface Shared {
  projects: number;
  servers: Promise<TestServers>;
}
const KEY = Symbol.for("postrider.test-servers");
const holder = globalThis as unknown as Record<symbol, Shared | undefined>;

/** The project whose tests share one stack. */
const STACK_PROJECT = "e2e";
let stopStack: (() => Promise<void>) | undefined;

export async function setup(project: TestProject): Promise<void> {
  const shared = (holder[KEY] ??= { projects: 0, servers: startTestServers() });
  shared.projects += 1;
  const servers = await shared.servers.catch((error: unknown) => {
    process.stderr.write(`the tests can't run without servers: ${(error as Error).message}\n`);
    // Vitest would say "No test files found" first.
    return process.exit(1);
  });
  project.provide("postgresUrl", servers.postgresUrl);
  project.provide("redisUrl", servers.redisUrl);
  project.provide("noOwnServers", servers.noOwnServers);
  if (project.name !== STACK_PROJECT) return;
  const { stop, ...stack } = await startSharedStack(servers);
  stopStack = stop;
  project.provide("sharedStack", stack);
}

export async function teardown(): Promise<void> {
  try {
    await stopStack?.();
  } finally {
    const shared = holder[KEY];
    if (shared) {
      shared.projects -= 1;
      if (shared.projects === 0) {
        holder[KEY] = undefined;
        await (await shared.servers).stop();
      }
    }
  }
}
