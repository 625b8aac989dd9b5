// Per event: INSERT the event, INSERT its delivery, add its job.
import { Queue } from "bullmq";
import pg from "pg";
import { readTask, report } from "@postrider/testkit/processes/parent.ts";
import { newId } from "../../packages/shared/src/runtime/new-id.ts";
import { deliveredBody, eventAt } from "../support/payloads.ts";
import { TEXTBOOK_JOB, TEXTBOOK_QUEUE, type Queued, type TextbookJob, type TextbookTask } from "./textbook.ts";

/** The concurrency of an imagined API in front of it. */
const CONCURRENCY = 32;

const { databaseUrl, redisUrl, url, deliveries } = readTask() as TextbookTask;
const pool = new pg.Pool({ connectionString: databaseUrl, max: 20 });
const queue = new Queue<TextbookJob>(TEXTBOOK_QUEUE, { connection: { url: redisUrl } });
const subscriptionId = newId();
await pool.query("insert into subscriptions (id, url, secret) values ($1, $2, $3)", [subscriptionId, url, "secret"]);
let made = 0;

await Promise.all(Array.from({ length: CONCURRENCY }, produce));
await queue.close();
await pool.end();
report({ kind: "queued" } satisfies Queued);

async function produce(): Promise<void> {
  while (made < deliveries) {
    const event = eventAt(made);
    made += 1;
    const [eventId, deliveryId] = [newId(), newId()];
    await pool.query({
      name: "insert-event",
      text: "insert into events (id, type, body) values ($1, $2, $3)",
      values: [eventId, event.type, deliveredBody(event)],
    });
    await pool.query({
      name: "insert-delivery",
      text: "insert into deliveries (id, event_id, subscription_id) values ($1, $2, $3)",
      values: [deliveryId, eventId, subscriptionId],
    });
    await queue.add("deliver", { deliveryId, eventId, subscriptionId }, { ...TEXTBOOK_JOB, jobId: deliveryId });
  }
}
