-- Generated from packages/shared/src/store/schema, then completed by hand where the generator has no word for it:
-- PARTITION BY RANGE on three tables, and below them the functions and the comments.
CREATE TABLE "api_keys" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"hash" "bytea" NOT NULL,
	"scopes" text[] NOT NULL,
	"tenant" text,
	"expires_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "api_keys_hash_unique" UNIQUE("hash")
);
--> statement-breakpoint
CREATE TABLE "attempts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"delivery_id" uuid NOT NULL,
	"number" integer NOT NULL,
	"trigger" text NOT NULL,
	"started_at" timestamp with time zone NOT NULL,
	"duration_ms" integer NOT NULL,
	"response_status" integer,
	"response_body" text,
	"error" text,
	"superseded" boolean DEFAULT false NOT NULL,
	CONSTRAINT "attempts_trigger_check" CHECK ("attempts"."trigger" in ('auto', 'manual', 'probe'))
) PARTITION BY RANGE ("id");
--> statement-breakpoint
CREATE TABLE "deliveries" (
	"id" uuid PRIMARY KEY NOT NULL,
	"event_id" uuid NOT NULL,
	"subscription_id" uuid NOT NULL,
	"tenant" text NOT NULL,
	"event_type" text NOT NULL,
	"state" text NOT NULL,
	"batch_id" uuid,
	"held_reason" text,
	"held_at" timestamp with time zone,
	"probed_at" timestamp with time zone,
	"dead_reason" text,
	"cycle" integer DEFAULT 0 NOT NULL,
	"attempt_count" integer DEFAULT 0 NOT NULL,
	"schedule_step" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp with time zone,
	"last_error" text,
	"settled_at" timestamp with time zone,
	CONSTRAINT "deliveries_state_check" CHECK ("deliveries"."state" in ('pending', 'retrying', 'held', 'delivered', 'dead', 'cancelled')),
	CONSTRAINT "deliveries_pending_check" CHECK (("deliveries"."state" = 'pending') = ("deliveries"."batch_id" is not null)),
	CONSTRAINT "deliveries_retrying_check" CHECK (("deliveries"."state" = 'retrying') = ("deliveries"."next_attempt_at" is not null)),
	CONSTRAINT "deliveries_held_check" CHECK (case when "deliveries"."state" = 'held' then "deliveries"."held_at" is not null and "deliveries"."held_reason" is not null and "deliveries"."held_reason" in ('breaker', 'paused', 'disabled', 'rate_limit', 'max_in_flight', 'pace') else "deliveries"."held_reason" is null end),
	CONSTRAINT "deliveries_dead_check" CHECK (case when "deliveries"."state" = 'dead' then "deliveries"."dead_reason" is not null and "deliveries"."dead_reason" in ('exhausted', 'gone', 'blocked', 'expired', 'internal') else "deliveries"."dead_reason" is null end),
	CONSTRAINT "deliveries_settled_check" CHECK (("deliveries"."state" in ('delivered', 'dead', 'cancelled')) = ("deliveries"."settled_at" is not null)),
	CONSTRAINT "deliveries_counts_check" CHECK ("deliveries"."attempt_count" >= 0 and "deliveries"."schedule_step" >= 0 and "deliveries"."cycle" >= 0)
) PARTITION BY RANGE ("id");
--> statement-breakpoint
CREATE TABLE "events" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"type" text NOT NULL,
	"body" text NOT NULL,
	"delivery_count" integer NOT NULL
) PARTITION BY RANGE ("id");
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"tenant" text NOT NULL,
	"key" text NOT NULL,
	"body_hash" "bytea" NOT NULL,
	"event_id" uuid NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	CONSTRAINT "idempotency_keys_tenant_key_pk" PRIMARY KEY("tenant","key")
);
--> statement-breakpoint
CREATE TABLE "subscription_patterns" (
	"tenant" text NOT NULL,
	"pattern" text NOT NULL,
	"subscription_id" uuid NOT NULL,
	CONSTRAINT "subscription_patterns_tenant_pattern_subscription_id_pk" PRIMARY KEY("tenant","pattern","subscription_id")
);
--> statement-breakpoint
CREATE TABLE "subscriptions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"url" text NOT NULL,
	"event_types" text[] NOT NULL,
	"description" text,
	"secrets" jsonb NOT NULL,
	"headers" jsonb NOT NULL,
	"rate_limit" integer,
	"max_in_flight" integer NOT NULL,
	"timeout_ms" integer,
	"retry_schedule" text[],
	"metadata" jsonb NOT NULL,
	"status" text DEFAULT 'active' NOT NULL,
	"disabled_reason" text,
	"failing_since" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"deleted_at" timestamp with time zone,
	CONSTRAINT "subscriptions_status_check" CHECK ("subscriptions"."status" in ('active', 'paused', 'disabled')),
	CONSTRAINT "subscriptions_disabled_check" CHECK (("subscriptions"."status" = 'disabled') = ("subscriptions"."disabled_reason" is not null))
);
--> statement-breakpoint
CREATE INDEX "attempts_delivery_idx" ON "attempts" USING btree ("delivery_id","id");--> statement-breakpoint
CREATE INDEX "deliveries_pending_idx" ON "deliveries" USING btree ("batch_id","id") WHERE state = 'pending';--> statement-breakpoint
CREATE INDEX "deliveries_retrying_idx" ON "deliveries" USING btree ("next_attempt_at") WHERE state = 'retrying';--> statement-breakpoint
CREATE INDEX "deliveries_held_idx" ON "deliveries" USING btree ("subscription_id","held_at","id","held_reason") WHERE state = 'held';--> statement-breakpoint
CREATE INDEX "deliveries_dead_idx" ON "deliveries" USING btree ("id") WHERE state = 'dead';--> statement-breakpoint
CREATE INDEX "deliveries_subscription_idx" ON "deliveries" USING btree ("subscription_id","id");--> statement-breakpoint
CREATE INDEX "events_tenant_idx" ON "events" USING btree ("tenant","id");--> statement-breakpoint
CREATE INDEX "idempotency_keys_expiry_idx" ON "idempotency_keys" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "subscriptions_tenant_idx" ON "subscriptions" USING btree ("tenant","id");
--> statement-breakpoint
CREATE FUNCTION "delivery_id"("event_id" uuid) RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
	-- A UUIDv7 whose first 8 bytes (time, version, sequence) are its event's, so that an event's deliveries are one short id range in one partition.
	SELECT encode(substring(uuid_send(event_id) FOR 8) || substring(uuid_send(gen_random_uuid()) FROM 9), 'hex')::uuid
$$;
--> statement-breakpoint
CREATE FUNCTION "batch_id"("base" uuid, "number" bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	-- The number-th batch of one statement: the caller's fresh UUIDv7 with its last 4 bytes counted.
	SELECT encode(substring(uuid_send(base) FOR 12) || int4send(number::int), 'hex')::uuid
$$;
--> statement-breakpoint
CREATE FUNCTION "refuse_idempotency_conflict"("n" bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	-- Takes back the whole statement: the request is all or nothing. PR409 is ours (see store/errors.ts).
	RAISE EXCEPTION 'idempotency conflict' USING ERRCODE = 'PR409', DETAIL = n::text;
END
$$;
--> statement-breakpoint
COMMENT ON TABLE "events" IS 'One thing that happened, immutable. Written by ingest (accept), read by workers and the API, drained by dropping partitions. Healthy: today''s partition grows, tomorrow''s exists.';
--> statement-breakpoint
COMMENT ON TABLE "deliveries" IS 'One event for one subscription; the unit of state. Written by ingest (accept) and by workers (record), drained by dropping partitions. Healthy: pending and past-due retrying rows are seconds old.';
--> statement-breakpoint
COMMENT ON TABLE "attempts" IS 'One HTTP request and what came of it, append-only. Written by workers (record), read by the API, drained by dropping partitions. Healthy: superseded rows are rare.';
--> statement-breakpoint
COMMENT ON TABLE "subscriptions" IS 'A subscriber''s URL, wishes, secrets and policy. Written by the API, and by workers that disable one; deletion is soft. Healthy: disabled ones are few and have a reason.';
--> statement-breakpoint
COMMENT ON TABLE "subscription_patterns" IS 'event_types of live subscriptions, one row per pattern, for matching. Written with its subscription in one transaction, emptied when it is deleted. Healthy: equals unnest(event_types).';
--> statement-breakpoint
COMMENT ON TABLE "idempotency_keys" IS 'What was accepted under which key. Written by ingest (accept), drained hourly of expired rows by workers. Healthy: rows are at most a day and an hour old.';
--> statement-breakpoint
COMMENT ON TABLE "api_keys" IS 'Who may call the API, by SHA-256 of the key. Written by the operator, read by ingest. Healthy: every row has a living owner.';
--> statement-breakpoint
COMMENT ON INDEX "deliveries_pending_idx" IS 'Loading a batch; the watchdog''s walk over batches; the oldest pending delivery.';
--> statement-breakpoint
COMMENT ON INDEX "deliveries_retrying_idx" IS 'The watchdog''s search for retries past due; the oldest of them as a metric.';
--> statement-breakpoint
COMMENT ON INDEX "deliveries_held_idx" IS 'The release job''s next held deliveries of a subscription, longest held first; held counts by reason.';
--> statement-breakpoint
COMMENT ON INDEX "deliveries_dead_idx" IS 'The list of dead letters, newest first.';
--> statement-breakpoint
COMMENT ON INDEX "deliveries_subscription_idx" IS 'GET /v1/deliveries?subscription=, newest first.';
--> statement-breakpoint
COMMENT ON INDEX "attempts_delivery_idx" IS 'The attempts of one delivery, in order.';
--> statement-breakpoint
COMMENT ON INDEX "events_tenant_idx" IS 'GET /v1/events?tenant=, newest first.';
--> statement-breakpoint
COMMENT ON INDEX "idempotency_keys_expiry_idx" IS 'The hourly removal of expired keys.';
--> statement-breakpoint
COMMENT ON INDEX "subscriptions_tenant_idx" IS 'GET /v1/subscriptions?tenant=, newest first.';
