import { withClient } from "../../scripts/services/index.ts";
import type { Fleet } from "../fleet.ts";
import type { Judgement } from "../judge/judge-reply.ts";
import type { Answer, Fate } from "./answer.ts";

interface Row {
  number: number;
  state: string;
  deadReason: string | null;
  attemptCount: number;
  lastError: string | null;
  delayMs: number | null;
  attempts: { status: number | null; error: string | null; bodyLength: number | null }[];
}

/** A delivery as Postgres has it. */
export class StoredDelivery {
  readonly row: Row;

  constructor(row: Row) {
    this.row = row;
  }

  /** What has become of it; undefined while that is open. */
  get fate(): Fate | undefined {
    const { state, deadReason, delayMs } = this.row;
    if (state === "delivered") return "delivered";
    if (state === "dead") return deadReason === "gone" ? "gone" : "dead";
    return state === "retrying" && delayMs !== null && delayMs > LONG_DELAY_MS ? "delayed" : undefined;
  }

  isSettled(answer: Answer): boolean {
    return this.fate !== undefined && (this.fate !== "delayed" || answer.fates.includes("delayed"));
  }
}

/** Longer than a retry takes without a Retry-After. */
const LONG_DELAY_MS = 5_000;
/** The cap of Retry-After, with the jitter on top. */
const MAX_DELAY_MS = 3_600_000 * 1.11;

/** The deliveries of events since an id, by the number of the answer. */
export async function readDeliveries({ databaseUrl }: Fleet, since: string): Promise<Map<number, StoredDelivery>> {
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<Row>(
      `with numbered as (
         select id, (body::json -> 'data' ->> 'answer')::int as number from events where tenant = 'fuzz-answers' and id >= $1
       )
       select e.number, d.state, d.dead_reason as "deadReason", d.attempt_count as "attemptCount",
         d.last_error as "lastError", extract(epoch from d.next_attempt_at - now())::float8 * 1000 as "delayMs",
         (select coalesce(json_agg(json_build_object('status', a.response_status, 'error', a.error,
            'bodyLength', length(a.response_body)) order by a.number), '[]') from attempts a where a.delivery_id = d.id)
           as attempts
       from numbered e join deliveries d on d.event_id = e.id and d.id >= $1`,
      [since],
    );
    return new Map(rows.map((row) => [row.number, new StoredDelivery(row)]));
  });
}

const MAX_BODY_CHARS = 16_384;
/** What an error's text must not show: source lines, assertions, addresses of memory. */
const INTERNALS = /assert\(|node_modules|node:internal|\.(?:c|cc|js|ts):\d+|0x[0-9a-f]{6,}|[0-9A-F]{12,}:error/i;

/** The errors of a connection that the receiver has closed, by their codes in the sentence of an attempt. */
const CLOSED = /\((?:ECONNRESET|ECONNABORTED|EPIPE|UND_ERR_SOCKET)\)$/;

/**
 * Whether the receiver never saw the request, because it came on a connection that the answer before it had closed.
 *
 * @param served how many requests asked for this answer
 */
export function isUnserved(stored: StoredDelivery | undefined, served: number): boolean {
  if (served > 0 || stored?.fate !== "dead") return false;
  return stored.row.attempts.every(({ status, error }) => status === null && error !== null && CLOSED.test(error));
}

/** @param served how many requests asked for this answer */
export function judgeDelivery(answer: Answer, stored: StoredDelivery | undefined, served: number): Judgement[] {
  const { label, fates, status } = answer;
  if (stored === undefined) return [{ kind: `answer "${label}": no delivery`, detail: "" }];
  const { fate, row } = stored;
  const [attempt] = row.attempts;
  const detail = JSON.stringify(row).slice(0, 600);
  const found: Judgement[] = [];
  const report = (kind: string) => found.push({ kind: `answer "${label}": ${kind}`, detail });
  if (fate === undefined) report(`unfinished (${row.state})`);
  else if (!isUnserved(stored, served)) {
    if (served === 0) report("never asked for");
    if (!fates.includes(fate)) report(`${fate} instead of ${fates.join(" or ")}`);
    if (status !== undefined && !row.attempts.some((one) => one.status === status)) {
      report(`status ${attempt?.status} instead of ${status}`);
    }
  }
  const expectsRetry = label === "retry-after";
  if (served > (expectsRetry ? 2 : 1)) report(`${served} requests`);
  if (!expectsRetry && row.attemptCount !== 1 && fate !== undefined) report(`${row.attemptCount} attempts`);
  if ((row.delayMs ?? 0) > MAX_DELAY_MS) report("a retry later than the cap");
  for (const { error, bodyLength } of row.attempts) {
    if ((bodyLength ?? 0) > MAX_BODY_CHARS) report("a body beyond the cap");
    if (error !== null && INTERNALS.test(error)) report("internals in an error");
  }
  return found;
}
