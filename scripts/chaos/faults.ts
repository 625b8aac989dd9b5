import { setTimeout as pause } from "node:timers/promises";
import type { Fleet } from "./fleet.ts";
import type { PlannedFault } from "./plan.ts";
import type { Behaviour, Receivers } from "./receivers.ts";
import type { RedisServer, Server } from "./servers.ts";
import { SHUTDOWN_DEADLINE_MS } from "./settings.ts";

/** What faults are done to. */
export interface Stage {
  fleet: Fleet;
  postgres: Server;
  redis: RedisServer;
  receivers: Receivers;
  /** The receivers' names of the subscribers, by their number in the plan. */
  subscribers: readonly string[];
}

/** A process that was told to stop may take this much longer than its own deadline on a busy machine. */
const STOP_GRACE_MS = 1_000;

/**
 * Does a fault and undoes it; a killed process is started again by its supervisor.
 *
 * @returns what went against a promise while it lasted, else undefined
 */
export async function inject(stage: Stage, { name, lastsMs, worker, hits }: PlannedFault): Promise<string | undefined> {
  const { fleet, postgres, redis } = stage;
  const victim = fleet.workers[worker]!;
  switch (name) {
    case "worker-kill":
      await victim.end("SIGKILL");
      return undefined;
    case "worker-freeze":
      victim.signal("SIGSTOP");
      await pause(lastsMs);
      victim.signal("SIGCONT");
      return undefined;
    case "worker-term": {
      const { code, signal, tookMs } = await victim.end("SIGTERM");
      if (code === 0 && tookMs <= SHUTDOWN_DEADLINE_MS + STOP_GRACE_MS) return undefined;
      return `${victim.name} ended with ${signal ?? `code ${code}`} ${tookMs} ms after SIGTERM`;
    }
    case "ingest-kill":
      await fleet.ingest.end("SIGKILL");
      await fleet.ingest.untilHealthy();
      return undefined;
    case "ingest-freeze":
      fleet.ingest.signal("SIGSTOP");
      await pause(lastsMs);
      fleet.ingest.signal("SIGCONT");
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
    case "redis-away":
      await redis.kill("SIGKILL");
      await pause(lastsMs);
      await redis.restart();
      return undefined;
    case "redis-freeze":
      await redis.kill("SIGSTOP");
      await pause(lastsMs);
      await redis.kill("SIGCONT");
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
      await stage.receivers.behave(hit, name.slice("receivers-".length) as Behaviour);
      await pause(lastsMs);
      await stage.receivers.behave(hit, "work");
      return undefined;
    }
  }
}
