DROP INDEX "deliveries_held_idx";--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "failing_since" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "deliveries_held_at_idx" ON "deliveries" USING btree ("held_at") WHERE state = 'held';--> statement-breakpoint
CREATE INDEX "deliveries_held_idx" ON "deliveries" USING btree ("subscription_id","id","held_reason") WHERE state = 'held';--> statement-breakpoint
COMMENT ON INDEX "deliveries_held_idx" IS 'The release job''s next held deliveries of a subscription, oldest first; held counts by reason.';--> statement-breakpoint
COMMENT ON INDEX "deliveries_held_at_idx" IS 'The search for what was held for longer than HOLD_LIMIT.';
