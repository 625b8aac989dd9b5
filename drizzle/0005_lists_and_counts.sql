-- Indexes of deliveries are built after the migrations (packages/shared/src/store/build-indexes.ts), and then the held
-- deliveries are counted: the trigger is all that needs a lock here.
-- Locks in the order of the statement that accepts events: in another one, each would wait for the other.
LOCK TABLE "idempotency_keys" IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
LOCK TABLE "deliveries" IN SHARE ROW EXCLUSIVE MODE;
--> statement-breakpoint
CREATE TABLE "held_counts" (
	"subscription_id" uuid NOT NULL,
	"reason" text NOT NULL,
	"deliveries" integer NOT NULL,
	CONSTRAINT "held_counts_subscription_id_reason_pk" PRIMARY KEY("subscription_id","reason")
) WITH (fillfactor = 50);
--> statement-breakpoint
CREATE TABLE "held_changes" (
	"xid" "xid8" NOT NULL,
	"subscription_id" uuid NOT NULL,
	"reason" text NOT NULL,
	"change" integer NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
--> statement-breakpoint
CREATE TABLE "held_folded" (
	"is_only" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"xid" "xid8" NOT NULL,
	"reconciled_at" timestamp with time zone DEFAULT '-infinity' NOT NULL,
	CONSTRAINT "held_folded_only_check" CHECK ("held_folded"."is_only")
);
--> statement-breakpoint
CREATE FUNCTION "note_held_change"() RETURNS trigger LANGUAGE plpgsql AS $$
	-- A trigger and not the statements of the code, so that no statement, of whatever version, can miscount. Its
	-- conditions are false for deliveries that are never held.
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		DELETE FROM held_changes;
		DELETE FROM held_counts;
		RETURN NULL;
	END IF;
	IF TG_OP <> 'INSERT' AND OLD.held_reason IS NOT NULL THEN
		INSERT INTO held_changes (xid, subscription_id, reason, change)
		VALUES (pg_current_xact_id(), OLD.subscription_id, OLD.held_reason, -1);
	END IF;
	IF TG_OP <> 'DELETE' AND NEW.held_reason IS NOT NULL THEN
		INSERT INTO held_changes (xid, subscription_id, reason, change)
		VALUES (pg_current_xact_id(), NEW.subscription_id, NEW.held_reason, 1);
	END IF;
	RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER "deliveries_held_insert" AFTER INSERT ON "deliveries" FOR EACH ROW
	WHEN (NEW.held_reason IS NOT NULL) EXECUTE FUNCTION note_held_change();
--> statement-breakpoint
CREATE TRIGGER "deliveries_held_update" AFTER UPDATE ON "deliveries" FOR EACH ROW
	WHEN (OLD.held_reason IS DISTINCT FROM NEW.held_reason) EXECUTE FUNCTION note_held_change();
--> statement-breakpoint
CREATE TRIGGER "deliveries_held_delete" AFTER DELETE ON "deliveries" FOR EACH ROW
	WHEN (OLD.held_reason IS NOT NULL) EXECUTE FUNCTION note_held_change();
--> statement-breakpoint
CREATE TRIGGER "deliveries_held_truncate" AFTER TRUNCATE ON "deliveries" FOR EACH STATEMENT
	EXECUTE FUNCTION note_held_change();
--> statement-breakpoint
INSERT INTO "held_folded" ("xid") VALUES ('0');
--> statement-breakpoint
CREATE INDEX "held_changes_xid_idx" ON "held_changes" USING btree ("xid");
--> statement-breakpoint
COMMENT ON TABLE "held_counts" IS 'Held deliveries by subscription and reason; the nil UUID is all subscriptions. Written by workers (upkeep), read with held_changes. Healthy: the sums equal the counts of held rows.';
--> statement-breakpoint
COMMENT ON TABLE "held_changes" IS 'A row per delivery that became held or ceased to be. Written by triggers of deliveries, folded into held_counts by workers every few seconds. Healthy: rows are seconds old.';
--> statement-breakpoint
COMMENT ON TABLE "held_folded" IS 'One row: the transaction before which every change is folded, and when the counts were last compared with the deliveries. Written by workers (upkeep). Healthy: close to the current transaction; hours old.';
--> statement-breakpoint
COMMENT ON INDEX "held_changes_xid_idx" IS 'The changes that are not folded yet.';
--> statement-breakpoint
COMMENT ON INDEX "deliveries_held_idx" IS 'The release job''s next held deliveries of a subscription, longest held first.';
--> statement-breakpoint
INSERT INTO "schema_versions" ("version", "serves") VALUES (5, 2);
