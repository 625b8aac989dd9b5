CREATE INDEX "deliveries_released_idx" ON "deliveries" USING btree ("subscription_id") WHERE state = 'pending' and held_at is not null;--> statement-breakpoint
COMMENT ON INDEX "deliveries_released_idx" IS 'What a release job that starts finds on its way.';
