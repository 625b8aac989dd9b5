CREATE TABLE "revoked_console_sessions" (
	"id" text PRIMARY KEY NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
COMMENT ON TABLE "revoked_console_sessions" IS 'The sessions of the console that ended by a logout before their expiry. Written by the console, which removes expired rows with each logout. Healthy: a row per logout of the last 12 hours.';--> statement-breakpoint
INSERT INTO "schema_versions" ("version", "serves") VALUES (9, 2);
