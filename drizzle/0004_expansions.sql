CREATE TABLE "expansions" (
	"event_id" uuid PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"event_type" text NOT NULL,
	"patterns" text NOT NULL,
	"last_subscription" uuid NOT NULL,
	"accepted_at" timestamp with time zone DEFAULT now() NOT NULL,
	"written" integer NOT NULL,
	"matches" integer NOT NULL,
	"first_batch" integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX "expansions_tenant_idx" ON "expansions" USING btree ("tenant","event_id");--> statement-breakpoint
CREATE FUNCTION "delivery_id"("event_id" uuid, "subscription_id" uuid) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	-- A UUIDv7 with the first 8 bytes (time, version, sequence) of its event's id, so that an event's deliveries are a
	-- short id range in one partition. The variant and 60 bits of a hash follow, so that an event has one delivery per
	-- subscription, whatever writes it. The function of one argument serves older code.
	SELECT (encode(substring(uuid_send(event_id) FOR 8), 'hex') || '8' ||
		left(encode(sha256(uuid_send(event_id) || uuid_send(subscription_id)), 'hex'), 15))::uuid
$$;
--> statement-breakpoint
CREATE FUNCTION "refuse_expansion_backlog"("n" bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	-- Fails the whole statement, because a batch request is all or nothing. store/errors.ts maps PR429.
	RAISE EXCEPTION 'expansion backlog' USING ERRCODE = 'PR429', DETAIL = n::text;
END
$$;
--> statement-breakpoint
COMMENT ON TABLE "expansions" IS 'Events whose deliveries are not all written yet, with a cursor over the subscriptions. Written by ingest (accept), drained by workers (expand). Healthy: empty, or its rows are seconds old.';
--> statement-breakpoint
COMMENT ON INDEX "expansions_tenant_idx" IS 'A tenant''s next page of deliveries; its backlog; the watchdog''s search for tenants.';
--> statement-breakpoint
INSERT INTO "schema_versions" ("version", "serves") VALUES (4, 2);
