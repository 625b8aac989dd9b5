DROP INDEX "deliveries_held_idx";--> statement-breakpoint
CREATE INDEX "deliveries_held_idx" ON "deliveries" USING btree ("subscription_id","held_at","id","held_reason") WHERE state = 'held';--> statement-breakpoint
COMMENT ON INDEX "deliveries_held_idx" IS 'The release job''s next held deliveries of a subscription, longest held first; held counts by reason.';
