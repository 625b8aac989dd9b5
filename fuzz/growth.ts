import { readdirSync } from "node:fs";
import { readResidentMemory } from "@postrider/testkit/processes/resident-memory.ts";
import { withRedis } from "@postrider/testkit/servers/redis.ts";
import { holdsWithin } from "@postrider/testkit/wait.ts";
import { withClient } from "../scripts/services/index.ts";
import type { Fleet } from "./fleet.ts";
import { readHeap } from "./heap.ts";
import type { Finding } from "./judge/finding.ts";
import { removeSubscriptions } from "./resources.ts";

/** What a fleet uses. */
export interface Usage {
  /** By process, after a collection: the heap and buffers. */
  heapMiB: Record<string, number>;
  /** Undefined where there is no /proc. */
  residentMiB: Record<string, number | undefined>;
  openFiles: Record<string, number | undefined>;
  /** Keys without an expiry, by the name's pattern. */
  redisKeys: Record<string, number>;
}

/**
 * Code that is compiled late, pools, and caches with a bound: the worker takes 5 MiB in 25,000 calls and 10,000 answers,
 * 7 MiB in twice as many, so about 10 MiB in a run of 100,000 calls. The other 6 MiB are 60 bytes for each of them.
 */
const HEAP_SLACK_MIB = 16;
/** V8 keeps memory for what it may need again: this only finds leaks outside of its heap. */
const RESIDENT_FACTOR = 2;
const RESIDENT_SLACK_MIB = 128;
/** Connections of pools that were not open yet at the first look. */
const OPEN_FILES_SLACK = 40;
/** Keys of queues and of the fleet, which do not depend on how much was done. */
const REDIS_KEYS_SLACK = 150;
const SETTLE_MS = 90_000;

export async function readUsage({ processes, redisUrl, logFolder }: Fleet): Promise<Usage> {
  const of = (read: (pid: number) => number | undefined) =>
    Object.fromEntries(processes.map(({ name, pid }) => [name, read(pid)]));
  const heaps = await Promise.all(processes.map(async ({ name }) => [name, await readHeap(logFolder, name)] as const));
  return {
    heapMiB: Object.fromEntries(heaps.map(([name, bytes]) => [name, Math.round(bytes / 1024 / 1024)])),
    residentMiB: of(residentMiB),
    openFiles: of(countOpenFiles),
    redisKeys: await countKeys(redisUrl),
  };
}

async function countKeys(redisUrl: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  await withRedis(redisUrl, async (redis) => {
    for await (const scanned of redis.scanStream({ count: 1_000 })) {
      const keys = scanned as string[];
      const expiries = await Promise.all(keys.map((key) => redis.pttl(key)));
      for (const key of keys.filter((_, index) => expiries[index] === -1)) {
        const pattern = key.replaceAll(/[0-9a-f-]{32,}(?:-\d+)?/g, "*").replaceAll(/\d+/g, "n");
        counts[pattern] = (counts[pattern] ?? 0) + 1;
      }
    }
  });
  return counts;
}

export const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((all, count) => all + count, 0);

function residentMiB(pid: number): number | undefined {
  const bytes = readResidentMemory(pid);
  return bytes === undefined ? undefined : Math.round(bytes / 1024 / 1024);
}

function countOpenFiles(pid: number): number | undefined {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return undefined;
  }
}

/** Removes all subscriptions and waits until no delivery is unfinished. @returns whether that came to be */
export async function settle(fleet: Fleet): Promise<boolean> {
  await removeSubscriptions(fleet);
  return withClient(fleet.databaseUrl, (client) =>
    holdsWithin(SETTLE_MS, 250, async () => {
      const { rows } = await client.query<{ count: number }>(
        "select count(*)::int as count from deliveries where state in ('pending', 'retrying', 'held')",
      );
      return rows[0]!.count === 0;
    }),
  );
}

/** Jobs that stay in Redis for the board: dead letters. */
export const countDead = (fleet: Fleet): Promise<number> =>
  withClient(fleet.databaseUrl, async (client) => {
    const { rows } = await client.query<{ count: number }>(
      "select count(*)::int as count from deliveries where state = 'dead'",
    );
    return rows[0]!.count;
  });

/** Looks until nothing exceeds its bound, because sockets and expiring keys need a while, or the time is over. */
export async function judgeGrowth(
  fleet: Fleet,
  before: Usage,
  dead: number,
): Promise<{ after: Usage; found: Finding[] }> {
  let after = await readUsage(fleet);
  let found = excesses(before, after, dead);
  await holdsWithin(SETTLE_MS, 1_000, async () => {
    after = await readUsage(fleet);
    found = excesses(before, after, dead);
    return found.length === 0;
  });
  return { after, found };
}

function excesses(before: Usage, after: Usage, dead: number): Finding[] {
  const found: Finding[] = [];
  const compare = (what: string, from: number, to: number, bound: number) => {
    if (to > bound) {
      found.push({
        kind: `growth: ${what.split(" {", 1)[0]}`,
        detail: `${what}: from ${from} to ${to}, bound ${Math.round(bound)}`,
        replay: "",
      });
    }
  };
  for (const name of Object.keys(before.residentMiB)) {
    const heap = before.heapMiB[name]!;
    compare(`MiB of the heap of ${name}`, heap, after.heapMiB[name]!, heap + HEAP_SLACK_MIB);
    const [memory, files] = [before.residentMiB[name], before.openFiles[name]];
    const [memoryAfter, filesAfter] = [after.residentMiB[name], after.openFiles[name]];
    if (memory !== undefined && memoryAfter !== undefined) {
      compare(`resident MiB of ${name}`, memory, memoryAfter, memory * RESIDENT_FACTOR + RESIDENT_SLACK_MIB);
    }
    if (files !== undefined && filesAfter !== undefined) {
      compare(`open files of ${name}`, files, filesAfter, files + OPEN_FILES_SLACK);
    }
  }
  const [from, to] = [sum(before.redisKeys), sum(after.redisKeys)];
  compare(`keys in Redis ${JSON.stringify(after.redisKeys)}`, from, to, from + dead + REDIS_KEYS_SLACK);
  return found;
}
