CREATE FUNCTION "refuse_large_fan_outs"("n" bigint[]) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	-- Fails the whole statement, which is repeated by another one. store/errors.ts maps PR413.
	RAISE EXCEPTION 'large fan-outs' USING ERRCODE = 'PR413', DETAIL = coalesce(array_to_string(n, ','), '');
END
$$;
--> statement-breakpoint
CREATE FUNCTION "note_accepting"("oldest_ms" bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	-- Until the end of the transaction, readers see in pg_locks the second of the oldest id that it may commit.
	PERFORM pg_advisory_xact_lock_shared(20009, (oldest_ms / 1000 - 1700000000)::int);
	-- After the lock, so that a reader who has not seen it knows how old the ids may be. store/errors.ts maps PR425.
	IF oldest_ms < extract(epoch FROM clock_timestamp()) * 1000 - 2000 THEN
		RAISE EXCEPTION 'ids are too old' USING ERRCODE = 'PR425';
	END IF;
	RETURN true;
END
$$;
--> statement-breakpoint
INSERT INTO "schema_versions" ("version", "serves") VALUES (7, 2);
