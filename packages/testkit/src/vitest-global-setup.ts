import type { TestProject } from "vitest/node";
import { startTestServers, type TestServers } from "./servers/test-servers.ts";

declare module "vitest" {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- only an interface can be extended
  export interface ProvidedContext {
    postgresUrl: string;
    redisUrl: string;
  }
}

/** Vitest loads this file once per project, in one process: the projects share the servers through the global object. */
interface Shared {
  projects: number;
  servers: Promise<TestServers>;
}
const KEY = Symbol.for("postrider.test-servers");
const holder = globalThis as unknown as Record<symbol, Shared | undefined>;

export async function setup(project: TestProject): Promise<void> {
  const shared = (holder[KEY] ??= { projects: 0, servers: startTestServers() });
  shared.projects += 1;
  const { postgresUrl, redisUrl } = await shared.servers;
  project.provide("postgresUrl", postgresUrl);
  project.provide("redisUrl", redisUrl);
}

export async function teardown(): Promise<void> {
  const shared = holder[KEY];
  if (!shared) return;
  shared.projects -= 1;
  if (shared.projects > 0) return;
  holder[KEY] = undefined;
  await (await shared.servers).stop();
}
