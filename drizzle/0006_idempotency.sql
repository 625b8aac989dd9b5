ALTER TABLE "idempotency_keys" ALTER COLUMN "event_id" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD COLUMN "answer" jsonb;--> statement-breakpoint
CREATE INDEX "subscriptions_live_idx" ON "subscriptions" USING btree ("tenant") WHERE deleted_at is null;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_result_check" CHECK (("idempotency_keys"."event_id" is null) <> ("idempotency_keys"."answer" is null)) NOT VALID;--> statement-breakpoint
COMMENT ON TABLE "idempotency_keys" IS 'The event of each idempotency key, or the sealed answer of a call other than POST /events. Written by ingest in the transaction of what the call does; workers remove expired rows hourly. Healthy: rows are at most a day and an hour old.';--> statement-breakpoint
COMMENT ON INDEX "subscriptions_live_idx" IS 'The count of a tenant''s subscriptions for MAX_SUBSCRIPTIONS_PER_TENANT.';--> statement-breakpoint
INSERT INTO "schema_versions" ("version", "serves") VALUES (6, 2);
