// Per attempt: SELECT the event, SELECT the subscription, sign, POST, INSERT the attempt, UPDATE the delivery.
import { createHmac } from "node:crypto";
import { Worker, type Job } from "bullmq";
import pg from "pg";
import { request } from "undici";
import { readTask } from "@postrider/testkit/processes/parent.ts";
import { newId } from "../../packages/shared/src/runtime/new-id.ts";
import { TEXTBOOK_QUEUE, type TextbookJob, type TextbookTask } from "./textbook.ts";

const CONCURRENCY = 100;
const TIMEOUT_MS = 10_000;

const { databaseUrl, redisUrl } = readTask() as TextbookTask;
const pool = new pg.Pool({ connectionString: databaseUrl, max: 20 });
const worker = new Worker<TextbookJob>(TEXTBOOK_QUEUE, deliver, {
  connection: { url: redisUrl },
  concurrency: CONCURRENCY,
});
worker.on("error", (error) => process.stderr.write(`${error.stack}\n`));
worker.on("failed", (_job, error) => process.stderr.write(`${error.stack}\n`));

async function deliver({ data }: Job<TextbookJob>): Promise<void> {
  const { deliveryId, eventId, subscriptionId } = data;
  const { body } = await one<{ body: string }>("event", "select type, body from events where id = $1", eventId);
  const { url, secret } = await one<{ url: string; secret: string }>(
    "subscription",
    "select url, secret from subscriptions where id = $1",
    subscriptionId,
  );
  const timestamp = Math.floor(Date.now() / 1000);
  const signature = createHmac("sha256", secret).update(`${eventId}.${timestamp}.${body}`).digest("base64");
  const startedAt = performance.now();
  const response = await request(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "webhook-id": eventId,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": `v1,${signature}`,
    },
    body,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const answer = await response.body.text();
  const isDelivered = response.statusCode >= 200 && response.statusCode < 300;
  await pool.query({
    name: "insert-attempt",
    text: "insert into attempts (id, delivery_id, status, response, duration_ms) values ($1, $2, $3, $4, $5)",
    values: [newId(), deliveryId, response.statusCode, answer, Math.round(performance.now() - startedAt)],
  });
  await pool.query({
    name: "update-delivery",
    text: "update deliveries set status = $2, attempts = attempts + 1, delivered_at = case when $2 = 'delivered' then now() end where id = $1",
    values: [deliveryId, isDelivered ? "delivered" : "pending"],
  });
  if (!isDelivered) throw new Error(`answered ${response.statusCode}`);
}

async function one<Row extends pg.QueryResultRow>(name: string, text: string, id: string): Promise<Row> {
  return (await pool.query<Row>({ name, text, values: [id] })).rows[0]!;
}
