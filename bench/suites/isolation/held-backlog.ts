import { setTimeout as sleep } from "node:timers/promises";
import { holdsWithin, followGrowth } from "@postrider/testkit/wait.ts";
import type { Target } from "../../processes/event-source.ts";
import type { Fleet } from "../../support/fleet.ts";
import { readRedisMemory } from "../../support/redis-memory.ts";
import type { Figures } from "../../support/rounds.ts";

/** The figures after this many events for the dead subscriber. */
export interface Stage {
  events: number;
  figures: Figures;
}

interface Dead {
  fleet: Fleet;
  redisUrl: string;
  /** Its subscription's id. */
  subscription: string;
  cooldownMs: number;
  say: (line: string) => void;
}

const TARGETS: readonly Target[] = [{ tenant: "default", type: "bench.event", number: 0 }];
const EVENTS_PER_REQUEST = 100;
const QUEUE_DEADLINE_MS = 180_000;
/** Longer than the retry steps before the breaker opens: by then, every earlier failure has come due and is held. */
const HOLD_PATIENCE_MS = 12_000;
const PROBES = 3;

/** Posts events for the subscriber up to each size in turn, and measures at each. */
export async function growBacklog(dead: Dead, sizes: readonly number[]): Promise<Stage[]> {
  const stages: Stage[] = [];
  for (const events of sizes) {
    dead.say(`${events} events for the dead subscriber`);
    stages.push({ events, figures: await grow(dead, events, stages.at(-1)) });
  }
  return stages;
}

async function grow(dead: Dead, events: number, before: Stage | undefined): Promise<Figures> {
  const { fleet, redisUrl, subscription } = dead;
  const more = events - (before?.events ?? 0);
  await fleet.queue({ targets: TARGETS, events: more, eventsPerRequest: EVENTS_PER_REQUEST }, QUEUE_DEADLINE_MS);
  const queuedAt = performance.now();
  const held = await followGrowth(events, HOLD_PATIENCE_MS, 250, async () => {
    return (await fleet.api.subscription(subscription)).held;
  });
  const settle = (performance.now() - queuedAt) / 1000;
  if (held < events) dead.say(`stopped at ${held} held of ${events}`);
  const { datasetBytes, eventStreamBytes, keys } = await readRedisMemory(redisUrl);
  const bytes = datasetBytes - eventStreamBytes;
  const requests = await countRequests(dead);
  return {
    held,
    settle,
    requests,
    keys,
    bytes,
    streams: eventStreamBytes / 1000,
    ...(before ? { slope: (bytes - before.figures["bytes"]!) / more } : {}),
  };
}

/**
 * The requests in three cooldowns. The count starts right after a request and ends in the middle of the fourth
 * cooldown, so that the exact delay between cooldown and probe doesn't matter.
 */
async function countRequests({ fleet, cooldownMs }: Dead): Promise<number> {
  const count = async () => (await fleet.subscribers.count()).requests[0]!;
  const before = await count();
  await holdsWithin(2 * cooldownMs, 20, async () => (await count()) > before);
  const first = await count();
  await sleep((PROBES + 0.5) * cooldownMs);
  return (await count()) - first;
}
