-- name: find
SELECT * FROM silences WHERE id = $1;

-- name: find_for_change
SELECT * FROM silences WHERE id = $1 FOR UPDATE;

-- name: in_force
-- An index has all of it.
SELECT id, revision FROM silences WHERE ends_at > $1 AND starts_at <= $1 ORDER BY id;

-- name: named
SELECT * FROM silences WHERE id = ANY ($1);

-- name: unexpired
SELECT * FROM silences WHERE ends_at > $1 ORDER BY id;

-- name: all
SELECT * FROM silences ORDER BY id;

-- name: add
INSERT INTO silences (id, matchers, starts_at, ends_at, created_by, comment, recurrence, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
RETURNING *;

-- name: replace
UPDATE silences
   SET matchers = $2, starts_at = $3, ends_at = $4, created_by = $5, comment = $6, recurrence = $7,
       updated_at = $8, revision = revision + 1
 WHERE id = $1
RETURNING *;

-- name: end
-- One that has not begun never will.
UPDATE silences SET starts_at = least(starts_at, $2), ends_at = $2, updated_at = $2, revision = revision + 1
 WHERE id = $1
RETURNING *;

-- name: forget
DELETE FROM silences WHERE ends_at < $1;

-- name: listing
-- As they stand at $1; $2 are those that recur and are between two of their windows.
SELECT silences.*,
       CASE WHEN ends_at <= $1 THEN 'expired'
            WHEN starts_at > $1 OR id = ANY ($2::text[]) THEN 'pending'
            ELSE 'active' END AS state
  FROM silences
