import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { timeOfId } from "@postrider/shared/core/ids/id-range.ts";

const LOOK_EVERY_MS = 200;
/** The oldest delivery that is due must be younger than this. */
const HEALTHY_MS = 1_000;
/** Stranded deliveries become older than HEALTHY_MS in this time; a fleet that looks healthy earlier may not be. */
const MIN_WATCH_MS = 2_000;
const HEALTHY_FOR_MS = 1_000;

interface Look {
  at: number;
  /** Milliseconds; undefined if Postgres did not answer. */
  oldestDueMs: number | undefined;
}

/** Polls for the oldest delivery that is due, with a connection of its own. */
export class Watch {
  readonly #pool: pg.Pool;
  #lastUnhealthyAt = 0;
  #last: Look = { at: 0, oldestDueMs: undefined };
  #stopped = false;
  #running: Promise<void>;

  constructor(databaseUrl: string) {
    this.#pool = new pg.Pool({
      connectionString: databaseUrl,
      max: 1,
      connectionTimeoutMillis: 1_000,
      query_timeout: 5_000,
      application_name: "chaos-watch",
    });
    this.#pool.on("error", () => undefined);
    this.#running = this.#run();
  }

  get oldestDueMs(): number | undefined {
    return this.#last.oldestDueMs;
  }

  /**
   * @returns milliseconds from `since` to the last moment at which something due was older than a second; undefined at
   * the deadline
   */
  async untilRecovered(since: number, withinMs: number): Promise<number | undefined> {
    while (Date.now() - since < withinMs) {
      const { at } = this.#last;
      if (at - since >= MIN_WATCH_MS && at - this.#lastUnhealthyAt >= HEALTHY_FOR_MS)
        return Math.max(0, this.#lastUnhealthyAt - since);
      await pause(LOOK_EVERY_MS);
    }
    return undefined;
  }

  /** The number of unfinished deliveries by state; undefined if Postgres does not answer. */
  async unfinished(): Promise<Record<string, number> | undefined> {
    try {
      const { rows } = await this.#pool.query<{ state: string; count: number }>(
        "select state, count(*)::int as count from deliveries where state in ('pending', 'retrying', 'held') group by state",
      );
      return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
    } catch {
      return undefined;
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.#pool.end();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const oldestDueMs = await this.#look().catch(() => undefined);
      const at = Date.now();
      if (oldestDueMs === undefined || oldestDueMs > HEALTHY_MS) this.#lastUnhealthyAt = at;
      this.#last = { at, oldestDueMs };
      await pause(LOOK_EVERY_MS);
    }
  }

  /** A pending delivery is due since its batch was created; a held one waits for its subscriber and is not due. */
  async #look(): Promise<number> {
    const { rows } = await this.#pool.query<{ batch: string | null; overdueMs: number | null; now: number }>(
      `select (select batch_id from deliveries where state = 'pending' order by batch_id limit 1) as batch,
         (select extract(epoch from now() - min(next_attempt_at))::float8 * 1000 from deliveries where state = 'retrying') as "overdueMs"`,
    );
    const { batch, overdueMs } = rows[0]!;
    return Math.max(0, batch === null ? 0 : Date.now() - timeOfId(batch), overdueMs ?? 0);
  }
}
