ALTER TABLE "deliveries" DROP CONSTRAINT "deliveries_held_check";--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "last_success_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "last_failure_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "last_error" text;--> statement-breakpoint
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_held_check" CHECK (case when "deliveries"."state" = 'held' then "deliveries"."held_at" is not null and "deliveries"."held_reason" is not null and "deliveries"."held_reason" in ('breaker', 'paused', 'disabled', 'rate_limit', 'max_in_flight', 'pace', 'trial', 'share', 'tenant_share') else "deliveries"."held_reason" is null end);