-- name: claim
-- One process at a time, for as long as the transaction lasts.
SELECT pg_try_advisory_xact_lock(hashtextextended('selfwatch', 0));
