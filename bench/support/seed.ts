import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import pg from "pg";
import { toPublicId } from "../../packages/shared/src/core/ids/id.ts";
import { createEnqueue } from "../../packages/shared/src/queue/enqueue.ts";
import { createQueues } from "../../packages/shared/src/queue/queues.ts";
import { createRetryTurns } from "../../packages/shared/src/queue/retry-turns.ts";
import { newId } from "../../packages/shared/src/runtime/new-id.ts";
import { createSecretBox } from "../../packages/shared/src/store/secret-box.ts";
import type { Database } from "./database.ts";
import { ENCRYPTION_KEY } from "./postrider.ts";

const PER_CALL = 1_000;

/** Subscriptions of one tenant to every type, all at one address. */
export interface Fanout {
  tenant: string;
  url: string;
  count: number;
}

/** Inserts subscriptions, which is faster than posting them. @returns their ids */
export function seedSubscriptions(database: Database, { tenant, url, count }: Fanout): Promise<string[]> {
  const box = createSecretBox([Buffer.from(ENCRYPTION_KEY, "base64")]);
  const rows = Array.from({ length: count }, () => {
    const id = newId();
    return { id, secrets: JSON.stringify([{ ...box.seal(randomBytes(32), id), expiresAt: null }]) };
  });
  const ids = rows.map(({ id }) => id);
  return withPool(database, async (pool) => {
    await pool.query(
      `insert into subscriptions (id, tenant, url, event_types, secrets, headers, max_in_flight, metadata)
       select id, $1, $2, '{*}', secrets::jsonb, '{}', 32, '{}' from unnest($3::uuid[], $4::text[]) t (id, secrets)`,
      [tenant, url, ids, rows.map(({ secrets }) => secrets)],
    );
    await pool.query(
      "insert into subscription_patterns (tenant, pattern, subscription_id) select $1, '*', unnest($2::uuid[])",
      [tenant, ids],
    );
    return ids;
  });
}

/** One event whose deliveries have failed once. */
export interface FailedEvent {
  tenant: string;
  subscriptions: readonly string[];
  /** When the retries are due, Unix milliseconds. */
  dueAt: number;
}

/** Inserts deliveries that wait for a retry, with their jobs. @returns the public id of each event */
export function seedRetries(database: Database, redisUrl: string, events: readonly FailedEvent[]): Promise<string[]> {
  return withPool(database, async (pool) => {
    const { enqueue, close } = openEnqueue(redisUrl);
    const ids: string[] = [];
    for (const { tenant, subscriptions, dueAt } of events) {
      const event = newId();
      await pool.query(
        "insert into events (id, tenant, type, body, delivery_count) values ($1, $2, 'bench.event', '{}', $3)",
        [event, tenant, subscriptions.length],
      );
      const { rows } = await pool.query<{ id: string }>(
        `insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, attempt_count, schedule_step, next_attempt_at)
         select delivery_id($1, unnest($2::uuid[])), $1, unnest($2::uuid[]), $3, 'bench.event', 'retrying', 1, 1, to_timestamp($4 / 1000.0)
         returning id`,
        [event, subscriptions, tenant, dueAt],
      );
      const job = { cycle: 0, tenant, eventType: "bench.event", url: undefined };
      for (let from = 0; from < rows.length; from += PER_CALL) {
        const delayMs = dueAt - Date.now();
        await enqueue.retry(rows.slice(from, from + PER_CALL).map(({ id }) => ({ ...job, delivery: id, delayMs })));
      }
      ids.push(toPublicId("evt", event));
    }
    await close();
    return ids;
  });
}

/** Adds jobs, and throws where Redis takes none. */
export function openEnqueue(redisUrl: string) {
  const redis = new Redis(redisUrl);
  const queues = createQueues(redis);
  const enqueue = createEnqueue(queues, createRetryTurns(redis, Date.now), (_lane, _jobs, error) => {
    throw error;
  });
  return {
    enqueue,
    close: async () => {
      await queues.close();
      redis.disconnect();
    },
  };
}

export async function withPool<T>(database: Database, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}
