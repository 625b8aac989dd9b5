CREATE TABLE "schema_versions" (
	"version" integer PRIMARY KEY NOT NULL,
	"serves" integer NOT NULL,
	CONSTRAINT "schema_versions_serves_check" CHECK ("schema_versions"."serves" <= "schema_versions"."version")
);
--> statement-breakpoint
COMMENT ON TABLE "schema_versions" IS 'The migrations that this database has, from 3 on, and the oldest code that can run on each. Written by the migrations, read by processes that start. Healthy: one row per migration.';
--> statement-breakpoint
INSERT INTO "schema_versions" ("version", "serves") VALUES (3, 2);
