-- name: find
SELECT * FROM heartbeats WHERE id = $1;

-- name: find_for_change
SELECT * FROM heartbeats WHERE id = $1 FOR UPDATE;

-- name: all
SELECT * FROM heartbeats ORDER BY id;

-- name: add
INSERT INTO heartbeats (id, name, matchers, interval, labels, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $6)
ON CONFLICT (name) DO NOTHING
RETURNING *;

-- name: replace
UPDATE heartbeats
   SET name = $2, matchers = $3, interval = $4, labels = $5, updated_at = $6, revision = revision + 1
 WHERE id = $1
RETURNING *;

-- name: remove
DELETE FROM heartbeats WHERE id = $1;

-- name: try_lock
-- One process looks at a time.
SELECT pg_try_advisory_xact_lock(hashtextextended('heartbeats', 0));

-- name: seen
UPDATE heartbeats SET last_seen_at = greatest(last_seen_at, $2) WHERE id = $1;

-- name: listing
SELECT * FROM heartbeats
