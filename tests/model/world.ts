import { expect } from "vitest";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { retryDelivery } from "@postrider/shared/runtime/retry-delivery.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { createEnqueue } from "@postrider/shared/queue/enqueue.ts";
import { dispatchJob, retryJob } from "@postrider/shared/queue/jobs.ts";
import type { Queues } from "@postrider/shared/queue/queues.ts";
import type { Transition } from "@postrider/shared/core/delivery/transitions.ts";
import { loadBatchRows } from "@postrider/shared/store/sql/load-batch.ts";
import { loadDeliveriesByIds } from "@postrider/shared/store/sql/load-deliveries-by-ids.ts";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { createAcceptor } from "../../apps/ingest/src/events/accept.ts";
import type { Context } from "../../apps/worker/src/context.ts";
import type { Delivery } from "../../apps/worker/src/delivery.ts";
import { splitPoisonBatch } from "../../apps/worker/src/deliver/poison.ts";
import { createRecorder } from "../../apps/worker/src/record/record-attempts.ts";
import { releaseLongestHeld } from "../../apps/worker/src/release/release-longest-held.ts";
import { runOnce } from "../../apps/worker/src/upkeep/watchdog.ts";
import { FakeQueue, type FakeJob } from "./fake-queues.ts";

export type Lane = "dispatch" | "retry";
export type Ending = "delivered" | "retrying" | "held" | "dead" | "paused";

/** A delivery in the hands of a worker: loaded, perhaps sent, not recorded. */
interface InHand {
  lane: Lane;
  job: string;
  /** One execution of the job: what its lock belongs to. */
  execution: object;
  delivery: Delivery;
}

interface Row {
  id: string;
  state: string;
  batchId: string | null;
  cycle: number;
  attemptCount: number;
}

const TENANT = "model";
const FINISHED = ["delivered", "dead", "cancelled"];

/** Postgres and the statements are the real ones; Redis, the network and the workers' deaths are played. */
export class World {
  readonly queues = { dispatch: new FakeQueue(), retry: new FakeQueue(), control: new FakeQueue() };
  readonly inHand: InHand[] = [];
  readonly subscription: string;
  accepted = 0;
  readonly #pool: Pool;
  readonly #context: Context;

  private constructor(pool: Pool, subscription: string) {
    this.#pool = pool;
    this.subscription = subscription;
    const log = createLogger("model", "silent");
    const counter = { inc: () => undefined };
    this.#context = {
      pool,
      log,
      queues: this.queues as unknown as Queues,
      enqueue: createEnqueue(this.queues as unknown as Queues, () => undefined),
      recorder: createRecorder(pool, log),
      metrics: { repairs: counter, transitions: counter, released: counter, poison: counter },
      // Without any grace: every run sees what was committed just now, too.
      settings: { watchdogIntervalMs: -1 },
    } as unknown as Context;
  }

  /** An empty world with one subscriber who wants everything. */
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

  /** @param dispatched false: ingest dies between the commit and Redis */
  async accept(count: number, dispatched: boolean): Promise<void> {
    const { dispatch } = this.queues;
    const adding: Promise<void>[] = [];
    const acceptor = createAcceptor(this.#pool, (batches) => {
      if (dispatched) adding.push(dispatch.addBulk(batches.map(dispatchJob)));
    });
    const event = { tenant: TENANT, type: "order.created", data: Buffer.from("null"), idempotencyKey: undefined };
    await acceptor.accept(Array.from({ length: count }, () => event));
    await Promise.allSettled(adding);
    this.accepted += count;
  }

  /** A worker takes a job: one that waits, or one that is active already, whose worker is thought dead. */
  async take(lane: Lane, pick: number): Promise<void> {
    const job = nth([...this.queues[lane].jobs.values()].filter(({ state }) => state !== "failed"), pick); // prettier-ignore
    if (!job) return;
    const execution = {};
    Object.assign(job, { state: "active", owner: execution });
    const loaded = await this.#load(lane, job);
    this.inHand.push(...loaded.map((delivery) => ({ lane, job: job.id, execution, delivery })));
    if (loaded.length === 0) this.queues[lane].conclude(job.id, execution, undefined);
  }

  async #load(lane: Lane, { id, data }: FakeJob): Promise<Delivery[]> {
    if (lane === "dispatch") return loadBatchRows(this.#pool, { id, ...(data as { from: string; to: string }) });
    const { delivery, cycle } = data as { delivery: string; cycle: number };
    const found = await loadDeliveriesByIds(this.#pool, [delivery]);
    return found.filter((row) => row.cycle === cycle && row.state === "retrying");
  }

  /**
   * The outcome of something in hand is recorded, and the compare-and-set must decide by what was loaded.
   *
   * @param scheduled false: the worker dies right after the commit, before it tells Redis
   */
  async record(pick: number, ending: Ending, scheduled: boolean): Promise<void> {
    const held = nth(this.inHand, pick);
    if (!held) return;
    this.inHand.splice(this.inHand.indexOf(held), 1);
    const { delivery } = held;
    const before = await this.row(delivery.id);
    const attempt = ending === "paused" ? undefined : attemptOf(ending);
    const transition = transitionOf(ending);
    const applied = await this.#context.recorder.record({
      delivery,
      transition,
      attempt,
      scheduleStep: delivery.scheduleStep + 1,
      lastError: attempt?.error ?? null,
    });
    const after = await this.row(delivery.id);
    const unmoved =
      before.state === delivery.state &&
      before.cycle === delivery.cycle &&
      before.attemptCount === delivery.attemptCount;
    expect(applied).toBe(unmoved || (ending === "delivered" && before.state !== "delivered"));
    if (applied)
      expect(after).toMatchObject({ state: transition.state, attemptCount: before.attemptCount + (attempt ? 1 : 0) });
    else expect(after).toEqual(before);
    if (attempt) await this.#expectAttempt(attempt.id, !applied);
    if (scheduled) await this.#schedule(held, applied ? ending : undefined);
  }

  async #expectAttempt(id: string, superseded: boolean): Promise<void> {
    const { rows } = await this.#pool.query("select superseded from attempts where id = $1", [id]);
    expect(rows).toEqual([{ superseded }]);
  }

  /** What the lanes tell Redis after a commit. `ending` is undefined for a loser, who has nothing to say. */
  async #schedule({ lane, job, execution, delivery }: InHand, ending: Ending | undefined): Promise<void> {
    if (lane === "retry") {
      const becomes = ending === "retrying" ? "waiting" : ending === "dead" ? "failed" : undefined;
      this.queues.retry.conclude(job, execution, becomes);
      return;
    }
    if (ending === "retrying" || ending === "dead")
      await this.queues.retry
        .addBulk([
          retryJob({ delivery: delivery.id, cycle: delivery.cycle, eventType: "model", url: undefined, delayMs: 0 }),
        ])
        .catch(() => undefined);
    if (!this.inHand.some((other) => other.execution === execution))
      this.queues.dispatch.conclude(job, execution, undefined);
  }

  /** A worker dies with a job: all it had in hand of it is forgotten, and the stalled check puts the job back. */
  crash(pick: number): void {
    const victim = nth(this.inHand, pick);
    if (!victim) return;
    for (const held of this.inHand.filter(({ execution }) => execution === victim.execution))
      this.inHand.splice(this.inHand.indexOf(held), 1);
    this.queues[victim.lane].conclude(victim.job, victim.execution, "waiting");
  }

  /** FLUSHALL. Workers go on with what they have in hand. */
  flush(): void {
    for (const queue of Object.values(this.queues)) queue.jobs.clear();
  }

  setRedisAway(away: boolean): void {
    for (const queue of Object.values(this.queues)) queue.away = away;
  }

  async splitPoison(pick: number): Promise<void> {
    const job = nth([...this.queues.dispatch.jobs.values()], pick);
    if (job) await splitPoisonBatch(this.#context, { id: job.id, ...(job.data as { from: string; to: string }) });
  }

  async release(): Promise<void> {
    await releaseLongestHeld(this.#context, this.subscription, 100, 32);
    this.queues.control.jobs.delete(this.subscription);
  }

  async retryByHand(pick: number): Promise<void> {
    const row = nth(await this.rows(), pick);
    if (row) await retryDelivery(this.#context, row.id);
  }

  /** With Redis away a run fails and the next one is made when it is back. */
  async watchdog(): Promise<void> {
    await runOnce(this.#context).catch((error: unknown) => {
      if (!String(error).includes("Redis is away")) throw error;
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
      const found = await this.#load("dispatch", this.queues.dispatch.jobs.get(batchId!)!);
      expect(found.map((delivery) => delivery.id)).toContain(id);
    }
  }

  /** Lanes run with subscribers that answer 200, until nothing is left to do. */
  async drain(): Promise<void> {
    for (let turns = 0; turns < 10; turns += 1) {
      if (this.queues.control.jobs.size > 0) await this.release();
      for (const lane of ["dispatch", "retry"] as const) {
        const jobs = [...this.queues[lane].jobs.values()].filter(({ state }) => state !== "failed");
        for (const _ of jobs) await this.take(lane, 0).then(() => this.#deliverLatest());
      }
    }
    const left = (await this.rows()).filter(({ state }) => !FINISHED.includes(state));
    expect(left).toEqual([]);
  }

  async #deliverLatest(): Promise<void> {
    const execution = this.inHand.at(-1)?.execution;
    for (const held of this.inHand.filter((other) => other.execution === execution))
      await this.record(this.inHand.indexOf(held), "delivered", true);
  }

  async row(id: string): Promise<Row> {
    return (await this.rows()).find((row) => row.id === id)!;
  }

  async rows(): Promise<Row[]> {
    const { rows } = await this.#pool.query<Row>(
      `select id, state, batch_id as "batchId", cycle, attempt_count as "attemptCount" from deliveries order by id`,
    );
    return rows;
  }
}

/** The element that a number of any size picks. */
const nth = <T>(from: readonly T[], pick: number): T | undefined => from[pick % Math.max(1, from.length)];

const attemptOf = (ending: Ending) => ({
  id: newId(),
  trigger: "auto" as const,
  startedAt: new Date(),
  durationMs: 1,
  responseStatus: ending === "delivered" ? 200 : 500,
  responseBody: "",
  error: ending === "delivered" ? null : "HTTP 500",
});

function transitionOf(ending: Ending): Transition {
  switch (ending) {
    case "delivered":
      return { state: "delivered" };
    case "retrying":
      return { state: "retrying", delayMs: 3_600_000 };
    case "held":
      return { state: "held", reason: "breaker" };
    case "paused":
      return { state: "held", reason: "paused" };
    case "dead":
      return { state: "dead", reason: "exhausted" };
  }
}
