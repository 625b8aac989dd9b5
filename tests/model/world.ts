import { expect } from "vitest";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { retryDelivery } from "@postrider/shared/runtime/retry-delivery.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { createEnqueue } from "@postrider/shared/queue/enqueue.ts";
import { dispatchJob } from "@postrider/shared/queue/jobs.ts";
import type { Queues } from "@postrider/shared/queue/queues.ts";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { createAcceptor } from "../../apps/ingest/src/events/accept.ts";
import type { Context } from "../../apps/worker/src/context.ts";
import { splitPoisonBatch } from "../../apps/worker/src/deliver/poison.ts";
import { createRecorder } from "../../apps/worker/src/record/record-attempts.ts";
import { releaseLongestHeld } from "../../apps/worker/src/release/release-longest-held.ts";
import { runOnce } from "../../apps/worker/src/upkeep/watchdog.ts";
import { FakeQueue, REDIS_UNREACHABLE } from "./fake-queues.ts";
import { FakeWorkers } from "./fake-workers.ts";
import { nth } from "./nth.ts";
import { readRows, type Row } from "./rows.ts";

const TENANT = "model";
const FINISHED = ["delivered", "dead", "cancelled"];

/** Postgres and the statements are real; Redis, the network and the deaths of workers are simulated. */
export class World {
  readonly queues = {
    dispatch: new FakeQueue(),
    retry: new FakeQueue(),
    control: new FakeQueue(),
    deadLetters: new FakeQueue(),
  };
  readonly workers: FakeWorkers;
  readonly subscription: string;
  accepted = 0;
  readonly #pool: Pool;
  readonly #context: Context;

  private constructor(pool: Pool, subscription: string) {
    this.#pool = pool;
    this.subscription = subscription;
    const log = createLogger("model", "silent");
    const recorder = createRecorder(pool, log);
    const counter = { inc: () => undefined };
    this.workers = new FakeWorkers(pool, this.queues, recorder);
    this.#context = {
      pool,
      log,
      queues: this.queues as unknown as Queues,
      enqueue: createEnqueue(
        this.queues as unknown as Queues,
        async (retries) => retries.map(() => 0),
        () => undefined,
      ),
      recorder,
      metrics: { repairs: counter, transitions: counter, released: counter, poison: counter },
      // No grace: a run also examines deliveries that were just committed.
      lookUpJobs: (queue: unknown) => (queue as FakeQueue).lookup,
      settings: { watchdogIntervalMs: -1, breaker: { cooldownMs: 60_000 } },
    } as unknown as Context;
  }

  /** An empty world with one subscription to every event type. */
  static async create(pool: Pool): Promise<World> {
    await pool.query("truncate events, deliveries, attempts, subscriptions, subscription_patterns");
    const id = newId();
    await pool.query(
      `insert into subscriptions (id, tenant, url, event_types, secrets, headers, max_in_flight, metadata)
       values ($1, $2, 'http://127.0.0.1/', '{*}', '[]', '{}', 32, '{}')`,
      [id, TENANT],
    );
    await pool.query("insert into subscription_patterns (tenant, pattern, subscription_id) values ($1, '*', $2)", [TENANT, id]); // prettier-ignore
    return new World(pool, id);
  }

  /** @param isDispatched false where ingest dies between the commit and Redis */
  async accept(count: number, isDispatched: boolean): Promise<void> {
    const { dispatch } = this.queues;
    const adding: Promise<void>[] = [];
    const acceptor = createAcceptor(this.#pool, (batches) => {
      if (isDispatched) adding.push(dispatch.addBulk(batches.map(dispatchJob)));
    });
    const event = { tenant: TENANT, type: "order.created", data: Buffer.from("null"), idempotencyKey: undefined };
    await acceptor.accept(Array.from({ length: count }, () => event));
    await Promise.allSettled(adding);
    this.accepted += count;
  }

  /** FLUSHALL. Workers continue with the deliveries that they have in hand. */
  flush(): void {
    for (const queue of Object.values(this.queues)) queue.jobs.clear();
  }

  setRedisReachable(isReachable: boolean): void {
    for (const queue of Object.values(this.queues)) queue.isReachable = isReachable;
  }

  async splitPoison(pick: number): Promise<void> {
    const job = nth([...this.queues.dispatch.jobs.values()], pick);
    if (job) await splitPoisonBatch(this.#context, { id: job.id, ...(job.data as { from: string; to: string }) });
  }

  async release(): Promise<void> {
    await releaseLongestHeld(this.#context, this.subscription, 100, 32);
    this.queues.control.jobs.delete(this.subscription);
  }

  async retryManually(pick: number): Promise<void> {
    const row = nth(await this.rows(), pick);
    if (row) await retryDelivery(this.#context, row.id);
  }

  /** A run fails while Redis is unreachable. */
  async watchdog(): Promise<void> {
    await runOnce(this.#context).catch((error: unknown) => {
      if (!String(error).includes(REDIS_UNREACHABLE)) throw error;
    });
  }

  /** The longest backoff is over. */
  async timePasses(): Promise<void> {
    await this.#pool.query(
      "update deliveries set next_attempt_at = now() - interval '1 hour' where state = 'retrying'",
    );
  }

  /** Every unfinished delivery has a live job of its lane that finds it. */
  async expectAllReachable(): Promise<void> {
    for (const { id, state, batchId, cycle } of await this.rows()) {
      const at = `${state} ${id}`;
      if (state === "held") expect(this.queues.control.isLive(this.subscription), at).toBe(true);
      if (state === "retrying") expect(this.queues.retry.isLive(`${id}-${cycle}`), at).toBe(true);
      if (state !== "pending") continue;
      expect(this.queues.dispatch.isLive(batchId!), at).toBe(true);
      const found = await this.workers.load("dispatch", this.queues.dispatch.jobs.get(batchId!)!);
      expect(found.map((delivery) => delivery.id)).toContain(id);
    }
  }

  /** Runs the lanes, with subscribers that respond 200, until every delivery is finished. */
  async drain(): Promise<void> {
    for (let turns = 0; turns < 10; turns += 1) {
      if (this.queues.control.jobs.size > 0) await this.release();
      await this.workers.deliverAll();
    }
    const left = (await this.rows()).filter(({ state }) => !FINISHED.includes(state));
    expect(left).toEqual([]);
  }

  rows(): Promise<Row[]> {
    return readRows(this.#pool);
  }
}
