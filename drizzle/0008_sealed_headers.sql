CREATE INDEX "subscriptions_plain_headers_idx" ON "subscriptions" USING btree ("id") WHERE jsonb_path_exists(headers, '$.* ? (@.type() == "string")');--> statement-breakpoint
COMMENT ON INDEX "subscriptions_plain_headers_idx" IS 'Subscriptions with header values that are not sealed yet. Healthy: empty, once all processes know this migration.';--> statement-breakpoint
-- Code of before can't read sealed headers. On a database that it uses, a worker ends its support later, when no older
-- process is left (apps/worker/src/upkeep/seal-headers.ts).
INSERT INTO "schema_versions" ("version", "serves")
SELECT version, CASE WHEN EXISTS (SELECT FROM "subscriptions") THEN 2 ELSE version END FROM (VALUES (8)) AS this (version);
