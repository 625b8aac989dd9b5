import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Batch } from "@postrider/shared/queue/jobs.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { loadDeliveriesByIds } from "@postrider/shared/store/sql/load-deliveries-by-ids.ts";
import { createSecretBox } from "@postrider/shared/store/secret-box.ts";
import { createAcceptor } from "../../../../apps/ingest/src/events/accept.ts";
import type { NewEvent } from "../../../../apps/ingest/src/events/prepare.ts";
import { createContext as createWorkerContext } from "../../../../apps/worker/src/context.ts";
import type { Delivery } from "../../../../apps/worker/src/delivery.ts";
import { createDatabase } from "../servers/database.ts";
import { claimRedis } from "../servers/redis.ts";
import type { TestServers } from "../servers/test-servers.ts";
import { testSettings } from "./settings.ts";

/** A row of `deliveries`. */
export interface DeliveryRow {
  id: string;
  state: string;
  cycle: number;
  attempt_count: number;
  schedule_step: number;
  batch_id: string | null;
  held_reason: string | null;
  dead_reason: string | null;
  last_error: string | null;
  next_attempt_at: Date | null;
  settled_at: Date | null;
}

/** A worker's context and an acceptor on a database and a Redis of their own, in this process, with no lane running. */
export async function createWorld(
  { postgresUrl, redisUrl }: Pick<TestServers, "postgresUrl" | "redisUrl">,
  over: Record<string, string> = {},
) {
  const [database, redis] = await Promise.all([createDatabase(postgresUrl), claimRedis(redisUrl)]);
  const settings = testSettings(database.url, redis.url, over);
  const context = await createWorkerContext(settings);
  // Commands fail at once before.
  if (context.redis.status !== "ready") await once(context.redis, "ready");
  const batches: Batch[] = [];
  const acceptor = createAcceptor(context.pool, (made) => batches.push(...made));

  return {
    settings,
    context,
    acceptor,
    /** The batches that were committed and not dispatched: a test decides whether they are. */
    batches,
    /** Removes everything from the tables and from Redis, and forgets the batches. */
    async empty(): Promise<void> {
      await context.pool.query(
        "truncate events, deliveries, expansions, attempts, subscriptions, subscription_patterns, idempotency_keys",
      );
      await context.redis.flushdb();
      batches.length = 0;
    },

    accept: (...events: (Partial<Omit<NewEvent, "data">> & { data?: string })[]) =>
      acceptor.accept(
        events.map(({ data = "{}", ...event }) => ({
          tenant: "default",
          type: "order.created",
          idempotencyKey: undefined,
          ...event,
          data: Buffer.from(data),
        })),
      ),

    async subscribe(
      over: { url?: string; tenant?: string; eventTypes?: string[]; status?: string; retrySchedule?: string[] } = {},
    ) {
      const id = newId();
      const tenant = over.tenant ?? "default";
      const eventTypes = over.eventTypes ?? ["*"];
      const secrets = [{ ...createSecretBox(settings.encryptionKeys).seal(randomBytes(32), id), expiresAt: null }];
      await context.pool.query(
        `insert into subscriptions (id, tenant, url, event_types, secrets, headers, max_in_flight, metadata, status, retry_schedule)
         values ($1, $2, $3, $4, $5, '{}', 32, '{}', $6, $7)`,
        [id, tenant, over.url ?? "http://127.0.0.1:9/", eventTypes, JSON.stringify(secrets), over.status ?? "active", over.retrySchedule ?? null], // prettier-ignore
      );
      await context.pool.query(
        "insert into subscription_patterns (tenant, pattern, subscription_id) select $1, unnest($2::text[]), $3",
        [tenant, eventTypes, id],
      );
      return id;
    },

    /** Subscriptions to every event type, whose secrets nothing can open. @returns their ids, in order */
    async subscribeMany(count: number, tenant = "default"): Promise<string[]> {
      const ids = Array.from({ length: count }, newId);
      await context.pool.query(
        `with made as (
           insert into subscriptions (id, tenant, url, event_types, secrets, headers, max_in_flight, metadata)
           select unnest($1::uuid[]), $2, 'http://127.0.0.1:9/', '{*}', '[]', '{}', 32, '{}' returning id
         )
         insert into subscription_patterns (tenant, pattern, subscription_id) select $2, '*', id from made`,
        [ids, tenant],
      );
      return ids;
    },

    /** Accepts events, and holds all deliveries since an hour ago. @returns their ids, oldest first */
    async hold(count: number): Promise<string[]> {
      await this.accept(...Array.from({ length: count }, () => ({})));
      await context.pool.query(
        "update deliveries set state = 'held', held_reason = 'breaker', held_at = now() - interval '1 hour', batch_id = null",
      );
      return (await this.rows()).map(({ id }) => id);
    },

    async rows(): Promise<DeliveryRow[]> {
      return (await context.pool.query<DeliveryRow>("select * from deliveries order by id")).rows;
    },

    async load(): Promise<Delivery[]> {
      const ids = (await this.rows()).map(({ id }) => id);
      return ids.length === 0 ? [] : loadDeliveriesByIds(context.pool, ids);
    },

    async close() {
      await acceptor.idle();
      await context.close();
      await redis.release();
      await database.drop();
    },
  };
}

export type World = Awaited<ReturnType<typeof createWorld>>;
