-- name: add
INSERT INTO tokens (id, name, kind, digest, role, scopes, cluster_id, created_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING *;

-- name: find
SELECT * FROM tokens WHERE id = $1;

-- name: used
UPDATE tokens SET last_used_at = now() WHERE id = ANY ($1::text[]);

-- name: revoke
-- The row stays, so that what the token did can still be told.
UPDATE tokens SET revoked_at = now()
 WHERE id = $1 AND revoked_at IS NULL AND ($2::text IS NULL OR cluster_id = $2)
RETURNING *;

-- name: revoke_named
UPDATE tokens SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL;

-- name: has_admin
SELECT EXISTS (
    SELECT FROM tokens
     WHERE role = 'admin' AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
);

-- name: listing
SELECT id, name, kind, role, scopes, cluster_id, created_by, created_at, expires_at, last_used_at, revoked_at
  FROM tokens
 WHERE revoked_at IS NULL
