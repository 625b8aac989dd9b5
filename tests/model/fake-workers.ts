import { expect } from "vitest";
import { retryJob } from "@postrider/shared/queue/jobs.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { loadBatchesRows } from "@postrider/shared/store/sql/load-batches.ts";
import { loadDeliveriesByIds } from "@postrider/shared/store/sql/load-deliveries-by-ids.ts";
import type { Delivery } from "../../apps/worker/src/delivery.ts";
import type { Recorder } from "../../apps/worker/src/record/record-attempts.ts";
import type { FakeJob, FakeQueue } from "./fake-queues.ts";
import { nth } from "./nth.ts";
import { attemptOf, transitionOf, type Outcome } from "./outcomes.ts";
import { readRow } from "./rows.ts";

export type Lane = "dispatch" | "retry";

/** A delivery that a worker has loaded and perhaps sent, and has not recorded. */
interface InHand {
  lane: Lane;
  job: string;
  /** One execution of the job: the owner of its lock. */
  execution: object;
  delivery: Delivery;
}

/** Workers of the dispatch and retry lanes that can stop anywhere between loading and recording. */
export class FakeWorkers {
  readonly inHand: InHand[] = [];
  readonly #pool: Pool;
  readonly #queues: Record<Lane, FakeQueue>;
  readonly #recorder: Recorder;

  constructor(pool: Pool, queues: Record<Lane, FakeQueue>, recorder: Recorder) {
    this.#pool = pool;
    this.#queues = queues;
    this.#recorder = recorder;
  }

  /** A worker takes a job: one that waits, or one that is active already, because its worker is believed dead. */
  async take(lane: Lane, pick: number): Promise<void> {
    const job = nth([...this.#queues[lane].jobs.values()].filter(({ state }) => state !== "failed"), pick); // prettier-ignore
    if (!job) return;
    const execution = {};
    Object.assign(job, { state: "active", owner: execution });
    const loaded = await this.load(lane, job);
    this.inHand.push(...loaded.map((delivery) => ({ lane, job: job.id, execution, delivery })));
    if (loaded.length === 0) this.#queues[lane].moveOwned(job.id, execution, undefined);
  }

  async load(lane: Lane, { id, data }: FakeJob): Promise<Delivery[]> {
    if (lane === "dispatch") return loadBatchesRows(this.#pool, [id], data as { from: string; to: string });
    const { delivery, cycle } = data as { delivery: string; cycle: number };
    const found = await loadDeliveriesByIds(this.#pool, [delivery]);
    return found.filter((row) => row.cycle === cycle && row.state === "retrying");
  }

  /**
   * Records the outcome of a delivery in hand. The compare-and-set must decide by the row as it was loaded.
   *
   * @param isEnqueued false where the worker dies right after the commit, before it updates Redis
   */
  async record(pick: number, outcome: Outcome, isEnqueued: boolean): Promise<void> {
    const held = nth(this.inHand, pick);
    if (!held) return;
    this.inHand.splice(this.inHand.indexOf(held), 1);
    const { delivery } = held;
    const before = await readRow(this.#pool, delivery.id);
    const attempt = outcome === "paused" ? undefined : attemptOf(outcome);
    const transition = transitionOf(outcome);
    const applied = await this.#recorder.record({
      delivery,
      transition,
      attempt,
      scheduleStep: delivery.scheduleStep + 1,
      lastError: attempt?.error ?? null,
    });
    const after = await readRow(this.#pool, delivery.id);
    const isUnmoved =
      before.state === delivery.state &&
      before.cycle === delivery.cycle &&
      before.attemptCount === delivery.attemptCount;
    expect(applied).toBe(isUnmoved || (outcome === "delivered" && before.state !== "delivered"));
    if (applied)
      expect(after).toMatchObject({ state: transition.state, attemptCount: before.attemptCount + (attempt ? 1 : 0) });
    else expect(after).toEqual(before);
    if (attempt) await this.#expectAttempt(attempt.id, !applied);
    if (isEnqueued) await this.#updateRedis(held, applied ? outcome : undefined);
  }

  async #expectAttempt(id: string, superseded: boolean): Promise<void> {
    const { rows } = await this.#pool.query("select superseded from attempts where id = $1", [id]);
    expect(rows).toEqual([{ superseded }]);
  }

  /** What the lanes do in Redis after a commit. @param outcome undefined where it was superseded */
  async #updateRedis({ lane, job, execution, delivery }: InHand, outcome: Outcome | undefined): Promise<void> {
    if (lane === "retry") {
      const state = outcome === "retrying" ? "waiting" : outcome === "dead" ? "failed" : undefined;
      this.#queues.retry.moveOwned(job, execution, state);
      return;
    }
    if (outcome === "retrying" || outcome === "dead")
      await this.#queues.retry
        .addBulk([
          retryJob({ delivery: delivery.id, cycle: delivery.cycle, eventType: "model", url: undefined, delayMs: 0 }),
        ])
        .catch(() => undefined);
    if (!this.inHand.some((other) => other.execution === execution))
      this.#queues.dispatch.moveOwned(job, execution, undefined);
  }

  /** A worker dies with a job: its deliveries in hand are forgotten, and the stalled check puts the job back. */
  crash(pick: number): void {
    const victim = nth(this.inHand, pick);
    if (!victim) return;
    for (const held of this.inHand.filter(({ execution }) => execution === victim.execution))
      this.inHand.splice(this.inHand.indexOf(held), 1);
    this.#queues[victim.lane].moveOwned(victim.job, victim.execution, "waiting");
  }

  /** Works off the jobs of both lanes once, with subscribers that respond 200. */
  async deliverAll(): Promise<void> {
    for (const lane of ["dispatch", "retry"] as const) {
      const jobs = [...this.#queues[lane].jobs.values()].filter(({ state }) => state !== "failed");
      for (const _ of jobs) await this.take(lane, 0).then(() => this.#deliverLatest());
    }
  }

  async #deliverLatest(): Promise<void> {
    const execution = this.inHand.at(-1)?.execution;
    for (const held of this.inHand.filter((other) => other.execution === execution))
      await this.record(this.inHand.indexOf(held), "delivered", true);
  }
}
