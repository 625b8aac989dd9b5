import { setTimeout as pause } from "node:timers/promises";
import type { DurableRedis } from "@postrider/testkit/servers/durable.ts";
import type { Stack } from "@postrider/testkit/stack/stack.ts";
import type { Throwaway } from "../scripts/services/index.ts";
import type { PlannedFault } from "./plan.ts";
import type { Receivers, SubscriberMode } from "./receivers.ts";
import { deleteKeys, evictKeys, type KeyKind } from "./redis-keys.ts";
import { SHUTDOWN_DEADLINE_MS } from "./settings.ts";

/** The targets of faults. */
export interface Stage {
  stack: Stack;
  postgres: Throwaway;
  redis: DurableRedis;
  receivers: Receivers;
  /** The receivers' names of the subscribers, by their number in the plan. */
  subscribers: readonly string[];
}

/** On a busy machine a process may exit this long after its own shutdown deadline. */
const STOP_GRACE_MS = 1_000;

/**
 * Injects a fault and ends it; a killed process restarts by itself.
 *
 * @returns the guarantee that was broken meanwhile, if any
 */
export async function inject(stage: Stage, { name, lastsMs, worker, hits }: PlannedFault): Promise<string | undefined> {
  const { stack, postgres, redis } = stage;
  const victim = stack.workers[worker]!;
  switch (name) {
    case "worker-kill":
      await victim.kill("SIGKILL");
      return undefined;
    case "worker-freeze":
      victim.signal("SIGSTOP");
      await pause(lastsMs);
      victim.signal("SIGCONT");
      return undefined;
    case "worker-term": {
      const startedAt = performance.now();
      const { code, signal } = await victim.kill("SIGTERM");
      const tookMs = Math.round(performance.now() - startedAt);
      if (code === 0 && tookMs <= SHUTDOWN_DEADLINE_MS + STOP_GRACE_MS) return undefined;
      return `${victim.name} ended with ${signal ?? `code ${code}`} ${tookMs} ms after SIGTERM`;
    }
    case "ingest-kill":
      await stack.ingest.kill("SIGKILL");
      await stack.ingest.untilReady();
      return undefined;
    case "ingest-freeze":
      stack.ingest.signal("SIGSTOP");
      await pause(lastsMs);
      stack.ingest.signal("SIGCONT");
      return undefined;
    case "redis-flush":
      await redis.flush();
      return undefined;
    case "redis-wipe":
      await redis.kill("SIGKILL");
      redis.removeData();
      await pause(lastsMs);
      await redis.restart();
      return undefined;
    case "redis-outage":
      await redis.kill("SIGKILL");
      await pause(lastsMs);
      await redis.restart();
      return undefined;
    case "redis-freeze":
      await redis.kill("SIGSTOP");
      await pause(lastsMs);
      await redis.kill("SIGCONT");
      return undefined;
    case "redis-del-wait":
    case "redis-del-prioritized":
    case "redis-del-active":
    case "redis-del-delayed":
    case "redis-del-meta":
    case "redis-del-job":
    case "redis-del-lock":
    case "redis-del-breaker":
    case "redis-del-other":
      await deleteKeys(redis.url, name.slice("redis-del-".length) as KeyKind, lastsMs);
      return undefined;
    case "redis-evict":
      await evictKeys(redis.url, lastsMs);
      return undefined;
    case "postgres-restart":
      await postgres.restart();
      return undefined;
    case "postgres-kill":
      await postgres.kill("SIGKILL");
      await pause(lastsMs);
      await postgres.restart();
      return undefined;
    case "receivers-fail":
    case "receivers-hang":
    case "receivers-drip":
    case "receivers-reset": {
      const hit = stage.subscribers.filter((_, number) => hits[number]);
      await stage.receivers.behave(hit, name.slice("receivers-".length) as SubscriberMode);
      await pause(lastsMs);
      await stage.receivers.behave(hit, "work");
      return undefined;
    }
  }
}
